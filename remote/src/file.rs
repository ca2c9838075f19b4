//! A file from afar, of which blocks are fetched as they are asked for.

use crate::blocks::{Blocks, last_seen};
use crate::error::{Failure, RemoteError};
use crate::net::{net, persistently};
use crate::resolve::{Place, Resolved};
use crate::store::{self, Object};
use crate::web::{self, Web, changed};
use crate::{BLOCK, Options, Pin};
use neuroflow_formats::source::{Source, beyond};
use sha2::Digest;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// The most blocks of one request.
const MOST_AT_ONCE: u64 = 16;
/// Blocks that are fetched beyond what is asked for when a file is read from front to back.
const AHEAD: u64 = 4;
/// Blocks that are held in memory.
const HELD: usize = 32;

const OFFLINE: &str = "turn the network on, or open the file once while it is on";

/// What tells one version of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub length: u64,
    /// `etag …` or `time …`; empty when the server gives neither.
    pub tag: String,
}

/// The answer to a request for a part.
pub(crate) struct Piece {
    pub identity: Identity,
    /// Whether it is the part; the whole otherwise.
    pub ranged: bool,
    pub body: Body,
}

/// Bytes that are still to come, and how many.
pub(crate) enum Body {
    Empty,
    Web(reqwest::Response, u64),
    Store(futures_util::stream::BoxStream<'static, Result<bytes::Bytes, object_store::Error>>, u64),
}

impl Body {
    async fn read(self, options: &Options) -> Result<Vec<u8>, Failure> {
        match self {
            Body::Empty => Ok(Vec::new()),
            Body::Web(answer, expected) => {
                let most = if expected == u64::MAX { options.whole_limit } else { expected };
                web::read(answer, expected, most, options).await
            }
            Body::Store(stream, expected) => store::read(stream, expected).await,
        }
    }
}

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
enum Transport {
    Web(Web),
    Store(Object),
}

impl Transport {
    async fn piece(&self, range: Range<u64>, pin: Option<&Identity>, options: &Options) -> Result<Piece, Failure> {
        match self {
            Transport::Web(web) => web.piece(range, pin, options).await,
            Transport::Store(object) => object.piece(range, pin).await,
        }
    }
}

/// What is known of a file while it is read.
#[derive(Debug, Default)]
struct State {
    held: BTreeMap<u64, (u64, Arc<Vec<u8>>)>,
    tick: u64,
    /// The last block of the last read.
    last: Option<u64>,
    /// Blocks that were read, while the digest is still to be checked.
    seen: BTreeSet<u64>,
    checked: bool,
    /// Why nothing more is given.
    refused: Option<RemoteError>,
}

/// A file from afar. Its bytes are those of one version, whatever happens to it meanwhile.
#[derive(Debug)]
pub struct RemoteFile {
    address: String,
    transport: Transport,
    identity: Identity,
    options: Options,
    pin: Option<Pin>,
    blocks: Option<Blocks>,
    /// All bytes, of a server that can't send parts.
    whole: Option<Vec<u8>>,
    state: Mutex<State>,
}

impl RemoteFile {
    /// Opens what an address stands for.
    ///
    /// # Errors
    /// As for [`crate::open`].
    pub fn open(resolved: &Resolved, options: &Options) -> Result<RemoteFile, RemoteError> {
        let address = resolved.address.clone();
        let told = |failure: Failure| failure.at(&address);
        let transport = match &resolved.place {
            Place::Web(web) => Transport::Web(web.clone()),
            Place::Object { bucket, key, open_to_all } => {
                let key = object_store::path::Path::parse(key)
                    .map_err(|error| RemoteError::new(&address, error.to_string(), "check the address"))?;
                Transport::Store(Object { store: store::bucket(bucket, *open_to_all, options).map_err(told)?, key })
            }
        };
        let pin = options.pin.or(resolved.pin);
        RemoteFile::begin(address, transport, pin, options)
    }

    pub(crate) fn of_object(address: String, object: Object, options: &Options) -> Result<RemoteFile, RemoteError> {
        RemoteFile::begin(address, Transport::Store(object), options.pin, options)
    }

    fn begin(address: String, transport: Transport, pin: Option<Pin>, options: &Options) -> Result<RemoteFile, RemoteError> {
        let made = |identity: Identity, blocks, whole| RemoteFile {
            address: address.clone(),
            transport: transport.clone(),
            identity,
            options: options.clone(),
            pin,
            blocks,
            whole,
            state: Mutex::default(),
        };
        let place = |identity: &Identity| place_of(&address, identity, options);
        if options.offline {
            let known = options.cache.as_deref().and_then(|root| last_seen(root, &address));
            let Some(identity) = known else {
                return Err(RemoteError::new(&address, "the network is off, and the cache does not know this file", OFFLINE));
            };
            let blocks = place(&identity);
            return Ok(made(identity, blocks, None));
        }
        let (own, asked) = (transport.clone(), options.clone());
        let owned_address = address.clone();
        let first = async move { persistently(&asked, || first_piece(&own, &owned_address, &asked)).await };
        let (identity, ranged, bytes) = net().and_then(|net| net.ask(first)).map_err(|failure| failure.at(&address))?;
        let blocks = place(&identity);
        if let Some(blocks) = &blocks {
            blocks.remember(&address, &identity);
        }
        if !ranged {
            let whole = bytes.unwrap_or_default();
            if let Some(blocks) = &blocks {
                for (block, content) in (0u64..).zip(whole.chunks(BLOCK as usize)).filter(|(block, _)| !blocks.has(*block)) {
                    blocks.put(block, content);
                }
            }
            return Ok(made(identity, blocks, Some(whole)));
        }
        let file = made(identity, blocks, None);
        if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
            file.keep(0, bytes);
        }
        Ok(file)
    }

    /// The address, without what may be secret in it.
    pub fn address(&self) -> String {
        crate::error::redacted(&self.address)
    }

    /// What the server calls this version: its entity tag or the time of its last change; empty when it gives neither.
    pub fn version(&self) -> &str {
        self.identity.tag.split_once(' ').map_or("", |(_, tag)| tag)
    }

    /// The digest that the file must have, when one is known.
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }

    fn error(&self, reason: impl Into<String>, help: &str) -> RemoteError {
        RemoteError::new(&self.address, reason, help)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn block_range(&self, block: u64) -> Range<u64> {
        let start = block.saturating_mul(BLOCK).min(self.identity.length);
        start..start.saturating_add(BLOCK).min(self.identity.length)
    }

    /// Puts a block into memory, and into the cache.
    fn keep(&self, block: u64, content: Vec<u8>) -> Arc<Vec<u8>> {
        if let Some(blocks) = &self.blocks {
            blocks.put(block, &content);
        }
        self.hold(block, content)
    }

    fn hold(&self, block: u64, content: Vec<u8>) -> Arc<Vec<u8>> {
        let content = Arc::new(content);
        let mut state = self.state();
        state.tick += 1;
        let tick = state.tick;
        state.held.insert(block, (tick, Arc::clone(&content)));
        if state.held.len() > HELD
            && let Some(oldest) = state.held.iter().min_by_key(|(_, (tick, _))| *tick).map(|(block, _)| *block)
        {
            state.held.remove(&oldest);
        }
        content
    }

    /// A block that is on this machine.
    fn near(&self, block: u64) -> Option<Arc<Vec<u8>>> {
        {
            let mut state = self.state();
            state.tick += 1;
            let tick = state.tick;
            if let Some((used, content)) = state.held.get_mut(&block) {
                *used = tick;
                return Some(Arc::clone(content));
            }
        }
        let range = self.block_range(block);
        let content = self.blocks.as_ref()?.get(block, range.end - range.start)?;
        Some(self.hold(block, content))
    }

    fn is_near(&self, block: u64) -> bool {
        self.state().held.contains_key(&block) || self.blocks.as_ref().is_some_and(|blocks| blocks.has(block))
    }

    /// Fetches blocks that follow each other; the first is given.
    fn fetch(&self, blocks: Range<u64>) -> Result<Arc<Vec<u8>>, RemoteError> {
        if self.options.offline {
            let reason = format!("the network is off, and block {} is not in the cache", blocks.start);
            return Err(self.error(reason, OFFLINE));
        }
        let range = self.block_range(blocks.start).start..self.block_range(blocks.end.saturating_sub(1)).end;
        let (transport, pin, options) = (self.transport.clone(), self.identity.clone(), self.options.clone());
        let asked = range.clone();
        let request = async move { persistently(&options, || part_of(&transport, asked.clone(), &pin, &options)).await };
        let bytes = net().and_then(|net| net.ask(request)).map_err(|failure| failure.at(&self.address))?;
        let mut first = None;
        for (block, content) in (blocks.start..).zip(bytes.chunks(BLOCK as usize)) {
            let kept = self.keep(block, content.to_vec());
            first.get_or_insert(kept);
        }
        first.ok_or_else(|| self.error("the server sent nothing", "try again"))
    }

    fn read(&self, range: &Range<u64>) -> Result<Vec<u8>, RemoteError> {
        let (first, last) = (range.start / BLOCK, (range.end - 1) / BLOCK);
        let blocks = self.identity.length.div_ceil(BLOCK);
        let onward = self.state().last.replace(last).is_some_and(|before| first == before || first == before + 1);
        // No more is set aside than what a request may bring.
        let mut bytes = Vec::with_capacity(usize::try_from((range.end - range.start).min(MOST_AT_ONCE * BLOCK)).unwrap_or(0));
        for block in first..=last {
            let content = match self.near(block) {
                Some(content) => content,
                None => {
                    let wanted = if onward { last.saturating_add(AHEAD) } else { last };
                    let most = wanted.saturating_add(1).min(blocks).min(block.saturating_add(MOST_AT_ONCE));
                    let end = (block + 1..most).find(|next| self.is_near(*next)).unwrap_or(most);
                    self.fetch(block..end)?
                }
            };
            let start = block * BLOCK;
            let from = usize::try_from(range.start.saturating_sub(start)).unwrap_or(usize::MAX);
            let to = usize::try_from(range.end.saturating_sub(start).min(BLOCK)).unwrap_or(usize::MAX);
            let part = content
                .get(from..to)
                .ok_or_else(|| self.error(format!("block {block} is shorter than the file"), "open the file again"))?;
            bytes.extend_from_slice(part);
        }
        self.seen(first..=last, blocks)?;
        Ok(bytes)
    }

    /// Checks the digest once every block was read.
    fn seen(&self, read: std::ops::RangeInclusive<u64>, blocks: u64) -> Result<(), RemoteError> {
        if self.pin.is_none() {
            return Ok(());
        }
        {
            let mut state = self.state();
            if state.checked {
                return Ok(());
            }
            state.seen.extend(read);
            if (state.seen.len() as u64) < blocks {
                return Ok(());
            }
        }
        self.verify()
    }

    /// Reads all of the file, and checks that it has the digest that is known of it; does nothing when none is.
    ///
    /// # Errors
    /// When it has another digest, after which nothing more of it is given; or when it can't be read.
    pub fn verify(&self) -> Result<(), RemoteError> {
        let Some(pin) = self.pin else { return Ok(()) };
        let (mut sha, mut blake) = (sha2::Sha256::new(), blake3::Hasher::new());
        let mut add = |bytes: &[u8]| match pin {
            Pin::Sha256(_) => sha.update(bytes),
            Pin::Blake3(_) => {
                blake.update(bytes);
            }
        };
        match &self.whole {
            Some(whole) => add(whole),
            None => {
                let blocks = self.identity.length.div_ceil(BLOCK);
                for block in 0..blocks {
                    let content = match self.near(block) {
                        Some(content) => content,
                        None => self.fetch(block..(block + AHEAD).min(blocks))?,
                    };
                    add(&content);
                }
            }
        }
        let fits = match pin {
            Pin::Sha256(wanted) => sha.finalize().as_slice() == wanted,
            Pin::Blake3(wanted) => blake.finalize().as_bytes() == &wanted,
        };
        let mut state = self.state();
        state.checked = true;
        state.seen.clear();
        if fits {
            return Ok(());
        }
        let error = self.error(
            "the file does not have the digest that it should have",
            "it is another version or damaged: do not use it, and ask who keeps it",
        );
        state.refused = Some(error.clone());
        Err(error)
    }
}

impl Source for RemoteFile {
    fn len(&self) -> u64 {
        self.identity.length
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        if let Some(refused) = self.state().refused.clone() {
            return Err(refused.into());
        }
        if range.start > range.end || range.end > self.identity.length {
            return Err(beyond(&range, self.identity.length));
        }
        if range.is_empty() {
            return Ok(Cow::Borrowed(&[]));
        }
        if let Some(whole) = &self.whole {
            if !self.state().checked {
                self.verify()?;
            }
            let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            return part
                .and_then(|(start, end)| whole.get(start..end))
                .map(Cow::Borrowed)
                .ok_or_else(|| beyond(&range, self.identity.length));
        }
        Ok(Cow::Owned(self.read(&range)?))
    }
}

/// Where the blocks of a version are kept. Without a tag nothing tells one version from another, so nothing is kept.
fn place_of(address: &str, identity: &Identity, options: &Options) -> Option<Blocks> {
    options.cache.as_deref().filter(|_| !identity.tag.is_empty()).map(|root| Blocks::of(root, address, identity, options.cache_limit))
}

/// All blocks of a file, when the cache has them.
fn all_blocks(blocks: &Blocks, length: u64) -> Option<Vec<u8>> {
    if length == u64::MAX {
        return None;
    }
    let mut whole = Vec::new();
    for block in 0..length.div_ceil(BLOCK) {
        whole.extend_from_slice(&blocks.get(block, BLOCK.min(length - block * BLOCK))?);
    }
    Some(whole)
}

/// The first block with the identity of the file; the bytes are left out when the cache has them. Of a server that can't send parts, the whole.
async fn first_piece(transport: &Transport, address: &str, options: &Options) -> Result<(Identity, bool, Option<Vec<u8>>), Failure> {
    let piece = transport.piece(0..BLOCK, None, options).await?;
    let kept = place_of(address, &piece.identity, options);
    if piece.ranged && kept.as_ref().is_some_and(|blocks| blocks.has(0)) {
        return Ok((piece.identity, true, None));
    }
    if !piece.ranged
        && let Some(all) = kept.as_ref().and_then(|blocks| all_blocks(blocks, piece.identity.length))
    {
        return Ok((piece.identity, false, Some(all)));
    }
    let (mut identity, ranged) = (piece.identity, piece.ranged);
    let bytes = piece.body.read(options).await?;
    if !ranged {
        identity.length = bytes.len() as u64;
    }
    Ok((identity, ranged, Some(bytes)))
}

/// A part of the version that was opened.
async fn part_of(transport: &Transport, range: Range<u64>, pin: &Identity, options: &Options) -> Result<Vec<u8>, Failure> {
    let piece = transport.piece(range.clone(), Some(pin), options).await?;
    if piece.identity.tag != pin.tag || piece.identity.length != pin.length {
        return Err(changed());
    }
    if !piece.ranged {
        return Err(Failure::lasting(
            "the server sent parts of the file before, and now only the whole",
            "download the file in another way",
        ));
    }
    piece.body.read(options).await
}
