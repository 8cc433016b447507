//! Receive buffers that the kernel picks from (a 'provided buffer ring').
//!
//! # Invariants worth naming
//!
//! - A buffer belongs to the kernel from [`BufferRing::give_back`] until a
//!   completion names it, and to us from then until it is given back.
//! - The memory outlives the ring: [`BufferRing`] is dropped after the
//!   `IoUring` it is registered with.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use corecast_host::page_bytes;
use io_uring::Submitter;
use io_uring::types::BufRingEntry;

/// A registered buffer ring with the memory of its buffers.
pub struct BufferRing {
    entries: NonNull<BufRingEntry>,
    entry_bytes: usize,
    mask: u16,
    tail: u16,
    buffers: Box<[u8]>,
    buffer_bytes: usize,
}

impl BufferRing {
    /// Registers `count` (a power of two) buffers as `group`, all of them the kernel's.
    pub fn register(
        submitter: &Submitter<'_>,
        group: u16,
        count: u16,
        buffer_bytes: usize,
    ) -> io::Result<BufferRing> {
        assert!(count.is_power_of_two());
        let entry_bytes = (usize::from(count) * size_of::<BufRingEntry>())
            .next_multiple_of(page_bytes() as usize);
        // SAFETY: a new anonymous mapping touches no existing memory.
        let raw = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                entry_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if raw == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let entries = NonNull::new(raw.cast()).expect("a mapping is never at address zero");
        let mut ring = BufferRing {
            entries,
            entry_bytes,
            mask: count - 1,
            tail: 0,
            buffers: vec![0; usize::from(count) * buffer_bytes].into_boxed_slice(),
            buffer_bytes,
        };
        // SAFETY: the mapping is page-aligned, has room for `count` entries and
        // outlives the io_uring instance (see the module's invariants).
        unsafe { submitter.register_buf_ring(raw as u64, count, group)? };
        for id in 0..count {
            ring.give_back(id);
        }
        Ok(ring)
    }

    /// The first `length` bytes of a buffer that a completion named.
    #[inline]
    pub fn filled(&self, id: u16, length: usize) -> &[u8] {
        assert!(length <= self.buffer_bytes);
        let start = usize::from(id) * self.buffer_bytes;
        &self.buffers[start..start + length]
    }

    /// Returns a buffer to the kernel.
    #[inline]
    pub fn give_back(&mut self, id: u16) {
        let start = usize::from(id) * self.buffer_bytes;
        let address = self.buffers[start..].as_mut_ptr() as u64;
        // SAFETY: the masked index is within the mapping, and the kernel reads
        // this entry only once the tail below has passed it.
        unsafe {
            let entry = &mut *self
                .entries
                .as_ptr()
                .add(usize::from(self.tail & self.mask));
            entry.set_addr(address);
            entry.set_len(self.buffer_bytes as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry, is aligned, and the kernel
        // only reads it, with acquire order.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: the mapping was made in `register` with this size and the
        // ring it was registered with is gone.
        unsafe { libc::munmap(self.entries.as_ptr().cast(), self.entry_bytes) };
    }
}
