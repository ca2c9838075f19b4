//! What a client of protocol 2026-07-28 carries back with an answer: sealed here, opened once, and only for the call that it was sealed for.
//!
//! The seal (HMAC-SHA-256, by the SDK) holds the proposal and its plan, and binds them to the client and to the call's arguments; it ends after a while. Which
//! seals are still open is kept in this process, so that an answer counts once, and none outlives the server. So is until when, by a clock that nobody sets:
//! the seal's own end is a time of day, and a clock that is set back would put it off.

use neuroflow_agent::ProposalId;
use rmcp::model::{RequestStateCodec, SealOptions};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most answers that are waited for at once; with more, the oldest is given up.
const MOST_OPEN: usize = 256;

/// Random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    Ok(bytes)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Answers that are waited for.
pub(crate) struct Pending {
    codec: RequestStateCodec,
    open: Mutex<VecDeque<(String, Instant)>>,
}

impl Pending {
    /// With a key of this process.
    ///
    /// # Errors
    /// When the system gives no random numbers, in words.
    pub(crate) fn new() -> Result<Pending, String> {
        let codec = RequestStateCodec::try_new(random::<32>()?).map_err(|error| error.to_string())?;
        Ok(Pending { codec, open: Mutex::new(VecDeque::new()) })
    }

    /// Seals a proposal for the one call that may bring the answer. `call` names the client and the call with its arguments.
    ///
    /// # Errors
    /// When the system gives no random numbers, in words.
    pub(crate) fn seal(&self, id: &ProposalId, plan: Option<String>, call: &[u8], wait: Duration) -> Result<String, String> {
        let once = hex(&random::<16>()?);
        let payload = json!({ "once": once, "proposal": id.as_str(), "plan": plan }).to_string();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST_OPEN {
            open.pop_front();
        }
        open.push_back((once, Instant::now() + wait));
        Ok(self.codec.seal_with(payload.as_bytes(), &SealOptions::new().associated_data(call).ttl(wait)))
    }

    /// Opens a seal, and uses it up. Gives the proposal and the digest of its plan.
    ///
    /// # Errors
    /// When it is not ours, was changed, is of another call or client, is too old, or was used before; in words.
    pub(crate) fn open(&self, sealed: &str, call: &[u8]) -> Result<(ProposalId, Option<String>), String> {
        let opened = self.codec.open_with(sealed, call).map_err(|error| format!("the state that came back can't be used: {error}"))?;
        let payload: Value = serde_json::from_slice(&opened).map_err(|error| error.to_string())?;
        let once = payload["once"].as_str().unwrap_or_default();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|(known, _)| known == once);
        let Some((_, end)) = at.and_then(|at| open.remove(at)) else { return Err("the state that came back was used before".into()) };
        if Instant::now() > end {
            return Err("the state that came back has expired".into());
        }
        let id = payload["proposal"].as_str().and_then(ProposalId::parse).ok_or("the state that came back names no proposal")?;
        Ok((id, payload["plan"].as_str().map(str::to_owned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ProposalId {
        ProposalId::parse(&format!("p-{}", "0123456789abcdef".repeat(4))).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_seal_opens_once_for_its_own_call() {
        let pending = Pending::new().unwrap();
        let sealed = pending.seal(&id(), Some("plan".into()), b"a", LONG).unwrap();
        assert!(pending.open(&sealed, b"b").unwrap_err().contains("integrity"));
        assert_eq!(pending.open(&sealed, b"a"), Ok((id(), Some("plan".into()))));
        assert!(pending.open(&sealed, b"a").unwrap_err().contains("used before"));
    }

    #[test]
    fn a_changed_strange_or_old_seal_does_not_open() {
        let pending = Pending::new().unwrap();
        let sealed = pending.seal(&id(), None, b"a", LONG).unwrap();
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(pending.open(&String::from_utf8(bytes).unwrap(), b"a").is_err(), "a change at {at}");
        }
        for strange in ["", "rs1", "rs1..", "x.y.z", "{}"] {
            assert!(pending.open(strange, b"a").is_err(), "{strange}");
        }
        let other = Pending::new().unwrap().seal(&id(), None, b"a", LONG).unwrap();
        assert!(pending.open(&other, b"a").unwrap_err().contains("integrity"));
        let old = pending.seal(&id(), None, b"a", Duration::ZERO).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        assert!(pending.open(&old, b"a").unwrap_err().contains("expired"));
        assert!(pending.open(&sealed, b"a").is_ok(), "the true one still opens");
    }

    #[test]
    fn a_seal_ends_by_a_clock_that_nobody_sets() {
        let pending = Pending::new().unwrap();
        let sealed = pending.seal(&id(), None, b"a", LONG).unwrap();
        // As when the time of day was set back, so that the seal itself says it is good.
        for (_, end) in pending.open.lock().unwrap().iter_mut() {
            *end = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(5));
        assert!(pending.open(&sealed, b"a").unwrap_err().contains("expired"));
        assert!(pending.open(&sealed, b"a").unwrap_err().contains("used before"));
    }
}
