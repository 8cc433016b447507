//! An allocator that counts the bytes in use by the server's threads, for a test that is
//! the server and its clients in one process. Each of the client's threads marks itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

/// Counts the bytes that are in use by the server's threads.
struct Counting;

pub static IN_USE: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// This thread is not the server's.
    pub static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

fn count(bytes: isize) {
    // A thread that is ending has no such mark any more.
    if !IS_CLIENT.try_with(Cell::get).unwrap_or(true) {
        IN_USE.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
