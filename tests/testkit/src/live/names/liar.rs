//! A resolver that lies: another one's answers, with what it should not say. UDP only; what does not fit is its problem.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it looks whether it shall end.
const TICK: Duration = Duration::from_millis(50);
/// How long it waits for the truth.
const WITHIN: Duration = Duration::from_secs(5);

/// What it does to the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Calls every answer validated (AD).
    Vouches,
    /// Leaves out all signatures, and calls every answer validated.
    StripsAndVouches,
    /// Leaves out all signatures, as old forwarders do.
    Strips,
    /// Puts 127.0.21.9 for 127.0.21.1, and calls it validated; the truth only to who asks for it unchecked (CD).
    Forges,
}

/// A running one; dropping it ends it.
#[derive(Debug)]
pub struct Liar {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Liar {
    /// Starts one that asks `upstream`.
    ///
    /// # Errors
    /// No free port.
    pub fn start(upstream: SocketAddr, lie: Lie) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(TICK))?;
        let address = socket.local_addr()?;
        let ends = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                if let Ok(answer) = ask(upstream, buffer[..length].to_vec(), lie) {
                    let _nobody_there = socket.send_to(&answer, client);
                }
            }
        });
        Ok(Self {
            address,
            ends,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn ask(upstream: SocketAddr, mut query: Vec<u8>, lie: Lie) -> io::Result<Vec<u8>> {
    // The OPT record ends the message: eleven bytes, the DO bit in the fourth from the end (RFC 6891 §6.1.3).
    if matches!(lie, Lie::Strips | Lie::StripsAndVouches)
        && let [.., _, _, _, 0, 41, _, _, _, _, flags, _, 0, 0] = query.as_mut_slice()
    {
        *flags &= 0x7f;
    }
    let unchecked = query.get(3).is_some_and(|flags| flags & 0x10 != 0);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(WITHIN))?;
    socket.send_to(&query, upstream)?;
    let mut answer = vec![0; 4096];
    let (length, _) = socket.recv_from(&mut answer)?;
    answer.truncate(length);
    if lie == Lie::Forges && !unchecked {
        let (truth, forged) = ([4, 127, 0, 21, 1], [4, 127, 0, 21, 9]);
        if let Some(at) = answer.windows(5).position(|bytes| bytes == truth) {
            answer[at..at + 5].copy_from_slice(&forged);
        }
    }
    if lie != Lie::Strips
        && let Some(flags) = answer.get_mut(3)
    {
        *flags |= 0x20;
    }
    Ok(answer)
}
