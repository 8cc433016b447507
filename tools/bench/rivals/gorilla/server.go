// The rival gorilla/websocket on Go: one goroutine reads each connection, and
// on /broadcast another one writes it, as in the library's chat example.
package main

import (
	"bytes"
	"flag"
	"log"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// Small buffers, as for many connections. A larger message passes them by.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
	WriteBufferPool: &sync.Pool{},
	CheckOrigin:     func(*http.Request) bool { return true },
}

const (
	maxMessageBytes = 1024 * 1024
	// Messages that may wait for one subscriber before it is closed as too slow.
	queueMessages = 256
)

func upgrade(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err == nil {
		conn.SetReadLimit(maxMessageBytes)
	}
	return conn, err
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrade(w, r)
	if err != nil {
		return
	}
	defer conn.Close()
	for echoOne(conn) == nil {
	}
}

// ReadMessage would make a new slice, and let it grow, for each message.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func echoOne(conn *websocket.Conn) error {
	kind, message, err := conn.NextReader()
	if err != nil {
		return err
	}
	buffer := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buffer)
	buffer.Reset()
	if _, err := buffer.ReadFrom(message); err != nil {
		return err
	}
	return conn.WriteMessage(kind, buffer.Bytes())
}

type queue chan *websocket.PreparedMessage

// Everybody on /broadcast.
var hub = struct {
	sync.Mutex
	queues map[queue]struct{}
}{queues: make(map[queue]struct{})}

func broadcast(w http.ResponseWriter, r *http.Request) {
	// Joins before it accepts: a client that has been accepted misses nothing.
	messages := join()
	defer leave(messages)
	conn, err := upgrade(w, r)
	if err != nil {
		return
	}
	defer conn.Close()
	go write(conn, messages)
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		message, err := websocket.NewPreparedMessage(kind, data)
		if err != nil {
			return
		}
		publish(message)
	}
}

func write(conn *websocket.Conn, messages queue) {
	defer conn.Close()
	for message := range messages {
		if conn.WritePreparedMessage(message) != nil {
			return
		}
	}
}

func join() queue {
	messages := make(queue, queueMessages)
	hub.Lock()
	defer hub.Unlock()
	hub.queues[messages] = struct{}{}
	return messages
}

func publish(message *websocket.PreparedMessage) {
	hub.Lock()
	defer hub.Unlock()
	for messages := range hub.queues {
		select {
		case messages <- message:
		default:
			remove(messages)
		}
	}
}

func leave(messages queue) {
	hub.Lock()
	defer hub.Unlock()
	remove(messages)
}

// Also ends the goroutine that writes. To be called with the hub locked.
func remove(messages queue) {
	if _, there := hub.queues[messages]; there {
		delete(hub.queues, messages)
		close(messages)
	}
}

func main() {
	listen := flag.String("listen", "", "IP:PORT to listen on")
	flag.Parse()
	http.HandleFunc("/echo", echo)
	http.HandleFunc("/broadcast", broadcast)
	log.Fatal(http.ListenAndServe(*listen, nil))
}
