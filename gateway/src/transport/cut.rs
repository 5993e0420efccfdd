//! Ends a connection from another thread: the last resort where the thread that owns it is stuck.
//!
//! Held by whoever watches that thread; told of each connection by the dialler. Off the hot path: the
//! lock is taken when a connection is made, and when it is cut. The venue's cancel-on-disconnect does
//! the rest; the owner, if it ever goes on, finds its connection closed. Absent: any other use.

use rustix::net::{Shutdown, shutdown};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// A handle on the latest connection of one dialler.
#[derive(Clone, Debug, Default)]
pub struct Cut(Arc<Mutex<Option<OwnedFd>>>);

impl Cut {
    /// From now on it is this connection that would be cut. Where the system refuses a second handle
    /// the connection cannot be cut, and [`Self::pull`] says so.
    pub fn hold(&self, connection: &impl AsFd) {
        let handle = connection.as_fd().try_clone_to_owned().ok();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }

    /// Ends the connection both ways, at once. Says whether there was one to end.
    pub fn pull(&self) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.take().is_some_and(|connection| shutdown(&connection, Shutdown::Both).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn a_cut_ends_the_connection_for_both_sides_whoever_holds_it() {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(door.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = door.accept().unwrap();
        let cut = Cut::default();
        assert!(!cut.pull(), "there is nothing to cut yet");
        cut.hold(&ours);
        assert!(cut.pull());
        assert_eq!(theirs.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(ours.read(&mut [0; 8]).unwrap(), 0);
        assert!(!cut.pull(), "once is enough");
    }
}
