//! Inputs become content: the first alternative that can be had, read by its reader, through the cache.
//!
//! At a revision, files come from its tree. Data that git does not hold are taken as an earlier run at that revision had them, by digest; when there is no such
//! run, what git ignores and what lies elsewhere is taken as it is now, and the record says so.

use crate::afar::{self, Afar};
use crate::cached::{load, lookup};
use crate::dataset::DataSet;
use crate::fetch::{self, OnProgress};
use crate::files::ProjectFiles;
use crate::files::look::{Disk, Look, is_file};
use crate::files::tree::Tree;
use crate::files::unfetched;
use crate::folder;
use crate::home;
use crate::readers::{self, READERS_VERSION, Reader, Takes};
use crate::record::InputRecord;
use crate::session::{Session, SessionError};
use crate::task::{StageCall, Task, Work};
use crate::worker::Problem;
use arrow::buffer::Buffer;
use neuroflow_cache::{ActionOutput, ActionRecord, Digest, KeyEncoder};
use neuroflow_data::{Artifact, FileTree, Kind, Payload};
use neuroflow_dsl::pipeline::{Alternative, InputDecl};
use neuroflow_dsl::{Diagnostic, glob};
use neuroflow_formats::Limits;
use neuroflow_formats::bids::{self, BidsFile};
use neuroflow_formats::disk::{DiskFolder, HIDDEN, is_hidden};
use neuroflow_remote::Pin;
use neuroflow_stage::{Context, GpuPolicy, Value};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An input with its content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) record: InputRecord,
    /// The content as a whole.
    pub(crate) whole: Option<Digest>,
    /// The file as it came, when it can be read in parts.
    pub(crate) raw: Option<Digest>,
}

/// What is wanted of the files of an input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// What the reader makes of the whole; without it, a file that can be read in parts is only opened.
    pub(crate) decoded: bool,
    /// The content itself, for steps that run.
    pub(crate) runs: bool,
}

/// What a file of an input is.
struct Content {
    /// The file as it came.
    came: Digest,
    /// What its reader made of it; none when it was only opened.
    whole: Option<Digest>,
    /// The file as it came, when it can be read in parts.
    raw: Option<Digest>,
}

/// Where a file of an input is.
enum Place<'f> {
    Disk(PathBuf),
    Tree(&'f Tree, PathBuf),
    /// At an address.
    Afar(PathBuf),
    /// In the cache; the path is for messages.
    Object(Digest, PathBuf),
}

impl Place<'_> {
    fn path(&self) -> &Path {
        match self {
            Place::Disk(path) | Place::Tree(_, path) | Place::Afar(path) | Place::Object(_, path) => path,
        }
    }
}

/// So many files are looked for beside one that names them.
const MOST_BESIDE: usize = 16;

/// What is found, or why not, in words; an error is not the input's fault.
type Sought<T> = Result<Result<T, String>, SessionError>;

impl Session {
    /// The first alternative that can be had; for a run that is to have what another had, the one that was taken then.
    pub(crate) async fn find(
        &self,
        input: &InputDecl,
        wanted: Wanted,
        files: &ProjectFiles,
        on_progress: OnProgress<'_>,
    ) -> Result<Found, SessionError> {
        let earlier = files.earlier_input(&input.name.text);
        let mut tried = Vec::new();
        for alternative in input.alternatives.iter().filter(|alternative| alternative.wanted) {
            if earlier.is_some_and(|earlier| home::told(&earlier.taken) != home::told(&taken(alternative))) {
                continue;
            }
            let found = self.try_alternative(input, alternative, wanted, files, on_progress).await?;
            match found.and_then(|found| same_as_then(found, earlier, files)) {
                Ok(mut found) => {
                    found.record.passed_over = tried;
                    return Ok(found);
                }
                Err(reason) => tried.push(reason),
            }
        }
        if let (Some(earlier), Some(run), true) = (earlier, files.earlier(), tried.is_empty()) {
            tried.push(format!("run {} took {}, which is none of the alternatives", run.run, earlier.taken));
        }
        if tried.is_empty() {
            tried.push("no alternative is allowed by its `when`".into());
        }
        let is_data_set = input.alternatives.iter().any(|alternative| alternative.wanted && alternative.reader == "dataset");
        let help = match (is_data_set, files.is_of_then()) {
            (true, _) => "put a copy into a mirror folder and set NEUROFLOW_MIRRORS to it, or allow the network".into(),
            (false, true) => {
                "put the file that was there then back into its place; it is known by its content, and may lie in the cache, too".into()
            }
            (false, false) => {
                format!("paths of inputs begin at the working folder, {}; mend the file, or name another", files.working().display())
            }
        };
        Err(SessionError::Input { input: input.name.text.clone(), span: input.name.span.clone(), tried, help })
    }

    async fn try_alternative(
        &self,
        input: &InputDecl,
        alternative: &Alternative,
        wanted: Wanted,
        files: &ProjectFiles,
        on_progress: OnProgress<'_>,
    ) -> Sought<Found> {
        if alternative.is_stage {
            return again_if_damaged(|| self.simulate(input, alternative)).map(Ok);
        }
        let argument = match alternative.arguments.first() {
            Some(Value::Text(text)) => text.clone(),
            _ => return Err(SessionError::Bug("a reader without its text".into())),
        };
        if alternative.reader == "dataset" {
            return self.dataset(input, alternative, &argument, files, on_progress).await;
        }
        let Some(reader) = readers::reader(&alternative.reader) else {
            return Err(SessionError::Bug(format!("no reader `{}`", alternative.reader)));
        };
        let pin = match alternative.named.get("digest") {
            Some(Value::Text(text)) => match Pin::parse(text) {
                Ok(pin) => Some(pin),
                Err(reason) => return Ok(Err(format!("`digest`: {reason}"))),
            },
            _ => None,
        };
        let reader = &reader;
        let mut record = found_record(input, taken(alternative), false);
        if reader.name == "bids" {
            let read = || self.tree(files, input, reader, alternative, &argument, wanted);
            return Ok(again_if_damaged(read)?.map(|members| {
                record.members = members.iter().map(|(label, digest, _)| (label.clone(), *digest)).collect();
                let own = |(label, _, own): (String, Digest, Vec<(String, Digest)>)| {
                    own.into_iter().map(move |(path, content)| (format!("{label}/{path}"), content))
                };
                record.files = members.into_iter().flat_map(own).collect();
                Found { record, whole: None, raw: None }
            }));
        }
        if reader.takes != Takes::File {
            let read = || self.several(files, input, reader, &argument, wanted);
            return Ok(again_if_damaged(read)?.map(|(digest, members)| {
                record.members.clone_from(&members);
                record.files = members;
                Found { record, whole: Some(digest), raw: None }
            }));
        }
        if glob::is_pattern(&argument) {
            // The places are looked for again when a copy in the cache turned out damaged.
            let read = || -> Sought<Vec<(String, Digest, Digest)>> {
                let places = match self.places(files, input, &argument)? {
                    Ok(places) if places.is_empty() => {
                        return Ok(Err(format!("{}: no file fits", files.working().join(&argument).display())));
                    }
                    Ok(places) => places,
                    Err(reason) => return Ok(Err(reason)),
                };
                let mut members = Vec::with_capacity(places.len());
                for (label, place) in places {
                    match self.read_file(reader, &place, Wanted { decoded: true, ..wanted })? {
                        Ok(Content { whole: Some(digest), came, .. }) => members.push((label, digest, came)),
                        Ok(_) => return Err(SessionError::Bug("a file without content".into())),
                        Err(reason) => return Ok(Err(reason)),
                    }
                }
                Ok(Ok(members))
            };
            return Ok(again_if_damaged(read)?.map(|members| {
                record.members = members.iter().map(|(label, digest, _)| (label.clone(), *digest)).collect();
                record.files = members.into_iter().map(|(label, _, came)| (label, came)).collect();
                Found { record, whole: None, raw: None }
            }));
        }
        let read = || -> Sought<(Content, Vec<(String, Digest)>)> {
            let place = match self.place(files, input, &argument)? {
                Ok(place) => place,
                Err(reason) => return Ok(Err(reason)),
            };
            let content = match self.read_file(reader, &place, wanted)? {
                Ok(content) => content,
                Err(reason) => return Ok(Err(reason)),
            };
            let members = content.whole.map(|digest| self.members_of(&digest, reader.kind)).transpose()?;
            Ok(Ok((content, members.unwrap_or_default())))
        };
        let (Content { came, whole, raw }, members) = match again_if_damaged(read)? {
            Ok(read) => read,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Some(reason) = pin.and_then(|pin| self.differs(&came, pin).transpose()).transpose()? {
            return Ok(Err(format!("{argument}: {reason}")));
        }
        record.files = vec![(String::new(), came)];
        record.members =
            if members.is_empty() { whole.or(raw).map(|digest| (String::new(), digest)).into_iter().collect() } else { members };
        Ok(Ok(Found { record, whole, raw }))
    }

    /// The recordings of a BIDS tree that entities choose, each with the files that belong to it: label, content, and the files.
    fn tree(
        &self,
        files: &ProjectFiles,
        input: &InputDecl,
        reader: &Reader,
        alternative: &Alternative,
        folder: &str,
        wanted: Wanted,
    ) -> Sought<Vec<(String, Digest, Vec<(String, Digest)>)>> {
        let root = files.working().join(folder);
        let mut chosen: Vec<(String, Vec<(String, Place<'_>)>)> = Vec::new();
        if let Some(earlier) = files.earlier_input(&input.name.text).filter(|earlier| !earlier.files.is_empty()) {
            for (label, content) in &earlier.files {
                let Some((recording, path)) = label.split_once('/') else { continue };
                let place = root.join(path);
                if let Err(reason) = self.bring(files, std::slice::from_ref(&place), content)? {
                    return Ok(Err(format!("`{path}`: {reason}")));
                }
                let place = (path.to_owned(), Place::Object(*content, place));
                match chosen.last_mut().filter(|(of, _)| of == recording) {
                    Some((_, places)) => places.push(place),
                    None => chosen.push((recording.to_owned(), vec![place])),
                }
            }
        } else if files.is_of_then() {
            return Ok(Err(format!(
                "{}: a tree is read as it is now, or as an earlier run had it; no run had it at this revision",
                root.display()
            )));
        } else {
            let conditions: Vec<(&str, &str)> = alternative
                .named
                .iter()
                .filter(|(key, _)| *key != "when")
                .filter_map(|(key, value)| Some((key.as_str(), if let Value::Text(text) = value { text.as_str() } else { return None })))
                .collect();
            match recordings(&root, &conditions) {
                Ok(found) => {
                    let placed =
                        |paths: Vec<String>| paths.into_iter().map(|path| (path.clone(), Place::Disk(root.join(path)))).collect::<Vec<_>>();
                    chosen.extend(found.into_iter().map(|(label, paths)| (label, placed(paths))));
                }
                Err(reason) => return Ok(Err(format!("{}: {reason}", root.display()))),
            }
        }
        let mut members = Vec::with_capacity(chosen.len());
        for (label, places) in chosen {
            match self.together(reader, "", &root.join(&label), places, wanted)? {
                Ok((digest, own)) => members.push((label, digest, own)),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(members))
    }

    /// Files that belong together, as one content and each as its own.
    fn several(
        &self,
        files: &ProjectFiles,
        input: &InputDecl,
        reader: &Reader,
        argument: &str,
        wanted: Wanted,
    ) -> Sought<(Digest, Vec<(String, Digest)>)> {
        if afar::is_address(argument) {
            let reason = format!(
                "{argument}: `{}` reads several files, and from afar one is read; `neuroflow inspect` looks into folders from afar",
                reader.name
            );
            return Ok(Err(reason));
        }
        let argument = argument.trim_end_matches('/');
        let places = match reader.takes {
            Takes::Folder => self.below(files, input, argument)?,
            _ => self.beside(files, input, reader, argument, wanted)?,
        };
        let places = match places {
            Ok(places) if places.is_empty() => {
                return Ok(Err(format!("{}: there is no such folder, or no file in it", files.working().join(argument).display())));
            }
            Ok(places) => places,
            Err(reason) => return Ok(Err(reason)),
        };
        let named = if reader.takes == Takes::Folder { "" } else { argument.rsplit('/').next().unwrap_or(argument) };
        self.together(reader, named, &files.working().join(argument), places, wanted)
    }

    /// Some files as one content, made once, and each as its own. `shown` is for messages.
    fn together(
        &self,
        reader: &Reader,
        named: &str,
        shown: &Path,
        places: Vec<(String, Place<'_>)>,
        wanted: Wanted,
    ) -> Sought<(Digest, Vec<(String, Digest)>)> {
        let file = readers::reader("file").ok_or_else(|| SessionError::Bug("no reader `file`".into()))?;
        let (mut members, mut tree) = (Vec::with_capacity(places.len()), FileTree::new());
        for (label, place) in places {
            let content = match self.read_file(&file, &place, Wanted { runs: true, ..wanted })? {
                Ok(Content { came, .. }) => came,
                Err(reason) => return Ok(Err(reason)),
            };
            let bytes = self.cache.get(&content)?.ok_or_else(|| SessionError::Bug("an input vanished from the cache".into()))?;
            if let Err(error) = tree.insert(label.clone(), bytes) {
                return Ok(Err(error.to_string()));
            }
            members.push((label, content));
        }
        let artifact = Artifact::from_tree(tree);
        if let Err(reason) = readers::begins_well(reader, &artifact, named) {
            return Ok(Err(format!("{}: {reason}", shown.display())));
        }
        // Made of contents that are known, so that it is written once.
        let mut key = KeyEncoder::new();
        key.text("together");
        for (label, content) in &members {
            key.text(label);
            key.digest(content);
        }
        let key = key.finish();
        if let Some(output) = self.cache.lookup(&key)?.and_then(|record| record.outputs.into_iter().next()) {
            return Ok(Ok((output.digest, members)));
        }
        let (digest, size) = self.cache.put_written(|into| artifact.encode_to(into))?;
        self.cache.record(&key, &record_of(reader.name, &[("out", digest, size)]))?;
        Ok(Ok((digest, members)))
    }

    /// All files below a folder. Zarr keeps what it knows of arrays in files whose names begin with a point.
    fn below<'f>(&self, files: &'f ProjectFiles, input: &InputDecl, folder: &str) -> Sought<Vec<(String, Place<'f>)>> {
        let mut all: Vec<(String, Place<'f>)> = Vec::new();
        for pattern in std::iter::once("**".to_owned()).chain(HIDDEN.map(|name| format!("**/{name}"))) {
            match self.places(files, input, &format!("{folder}/{pattern}"))? {
                Ok(places) => {
                    let own = pattern.rsplit('/').next().unwrap_or_default().trim_start_matches('*');
                    // A label is what the pattern leaves open; here it is the whole path.
                    all.extend(places.into_iter().map(|(label, place)| match (own, label.as_str()) {
                        ("", _) => (label, place),
                        // Of one at the top, the pattern leaves nothing open.
                        (own, label) if label.is_empty() || label == own => (own.to_owned(), place),
                        (own, label) => (format!("{}/{own}", label.trim_end_matches('/')), place),
                    }));
                }
                Err(reason) => return Ok(Err(reason)),
            }
            // Those of an earlier run are all of them.
            if files.earlier_input(&input.name.text).is_some_and(|earlier| !earlier.files.is_empty()) {
                break;
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Ok(all))
    }

    /// A file with those that it names beside it.
    fn beside<'f>(
        &self,
        files: &'f ProjectFiles,
        input: &InputDecl,
        reader: &Reader,
        argument: &str,
        wanted: Wanted,
    ) -> Sought<Vec<(String, Place<'f>)>> {
        let folder = argument.rsplit_once('/').map_or("", |(folder, _)| folder);
        let within = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        if let Some(earlier) = files.earlier_input(&input.name.text).filter(|earlier| !earlier.files.is_empty()) {
            let mut places = Vec::with_capacity(earlier.files.len());
            for (label, content) in &earlier.files {
                let path = files.working().join(within(label));
                if let Err(reason) = self.bring(files, std::slice::from_ref(&path), content)? {
                    return Ok(Err(format!("`{label}`: {reason}")));
                }
                places.push((label.clone(), Place::Object(*content, path)));
            }
            return Ok(Ok(places));
        }
        let own = argument.rsplit('/').next().unwrap_or(argument).to_owned();
        let file = readers::reader("file").ok_or_else(|| SessionError::Bug("no reader `file`".into()))?;
        let (mut places, mut there, mut tried) = (Vec::new(), FileTree::new(), BTreeSet::new());
        let mut asked = vec![own.clone()];
        // The reader asks for what the file names; what it asks for and is there is given to it, until it asks for nothing new.
        while let Some(name) = asked.pop() {
            if tried.len() >= MOST_BESIDE || name.split('/').any(is_hidden) || !tried.insert(name.clone()) {
                continue;
            }
            match self.place(files, input, &within(&name))? {
                Ok(place) => {
                    let content = match self.read_file(&file, &place, Wanted { runs: true, ..wanted })? {
                        Ok(Content { came, .. }) => came,
                        Err(reason) => return Ok(Err(reason)),
                    };
                    let bytes = self.cache.get(&content)?.ok_or_else(|| SessionError::Bug("an input vanished from the cache".into()))?;
                    if let Err(error) = there.insert(name.clone(), bytes) {
                        return Ok(Err(error.to_string()));
                    }
                    places.push((name, place));
                }
                Err(reason) if name == own => return Ok(Err(reason)),
                // Whether it can be done without is for the reader to say.
                Err(_) => {}
            }
            asked.extend(readers::asked_for(reader, &there, &own));
        }
        places.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Ok(places))
    }

    /// What is wrong when a content is not the one that the pipeline names.
    fn differs(&self, content: &Digest, pin: Pin) -> Result<Option<String>, SessionError> {
        let bytes = self.cache.get_whole(content)?.ok_or_else(|| SessionError::Bug("an input vanished from the cache".into()))?;
        Ok((!pin.fits(&bytes)).then(|| "the file is not the one whose `digest` is named; take that file, or name this one's".into()))
    }

    /// Where the file of a path is.
    fn place<'f>(&self, files: &'f ProjectFiles, input: &InputDecl, argument: &str) -> Sought<Place<'f>> {
        let path = files.working().join(argument);
        if let Some((_, content)) = files.earlier_input(&input.name.text).and_then(|earlier| earlier.files.first()) {
            return Ok(self.bring(files, std::slice::from_ref(&path), content)?.map(|()| Place::Object(*content, path)));
        }
        if afar::is_address(argument) {
            return Ok(Ok(Place::Afar(PathBuf::from(argument))));
        }
        let is_folder =
            || Err(format!("{} is a folder; a pattern names its files: `{}/*`", path.display(), argument.trim_end_matches('/')));
        let missing = || Err(format!("{}: there is no such file", path.display()));
        if !files.is_of_then() {
            return Ok(match Disk.found(&path) {
                Ok(found) if found.is_folder => is_folder(),
                Ok(found) if found.is_file => Ok(Place::Disk(path)),
                _ => missing(),
            });
        }
        for tree in files.trees() {
            match tree.found(&path) {
                Ok(found) if found.is_file => return Ok(Ok(Place::Tree(tree, path))),
                Ok(_) => return Ok(is_folder()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Ok(Err(format!("{}: {error}", path.display()))),
            }
        }
        Ok(match is_file(&Disk, &path) {
            false => missing(),
            true if files.is_loose(std::slice::from_ref(&path)) == [true] => {
                files.remark(as_now(input));
                Ok(Place::Disk(path))
            }
            true => Err(format!(
                "{} is not in the revision; the file that is there now is not taken for it, since git does not ignore it",
                path.display()
            )),
        })
    }

    /// Where the files of a pattern are, by label.
    fn places<'f>(&self, files: &'f ProjectFiles, input: &InputDecl, pattern: &str) -> Sought<Vec<(String, Place<'f>)>> {
        let on = |look: &dyn Look| folder::members(look, files.working(), pattern);
        if let Some(earlier) = files.earlier_input(&input.name.text).filter(|earlier| !earlier.files.is_empty()) {
            // Candidates for what is no longer in the cache.
            let now: Vec<(String, PathBuf)> = files.trees().map(|tree| on(tree.as_ref())).chain([on(&Disk)]).flatten().flatten().collect();
            let mut places = Vec::with_capacity(earlier.files.len());
            for (label, content) in &earlier.files {
                let paths: Vec<PathBuf> = now.iter().filter(|(of, _)| of == label).map(|(_, path)| path.clone()).collect();
                if let Err(reason) = self.bring(files, &paths, content)? {
                    return Ok(Err(format!("`{label}` of {pattern}: {reason}")));
                }
                let shown = paths.into_iter().next().unwrap_or_else(|| files.working().join(pattern));
                places.push((label.clone(), Place::Object(*content, shown)));
            }
            return Ok(Ok(places));
        }
        if !files.is_of_then() {
            return Ok(on(&Disk).map(|found| found.into_iter().map(|(label, path)| (label, Place::Disk(path))).collect()));
        }
        let mut places: Vec<(String, Place<'f>)> = Vec::new();
        for tree in files.trees() {
            match on(tree.as_ref()) {
                Ok(found) => places.extend(found.into_iter().map(|(label, path)| (label, Place::Tree(tree, path)))),
                Err(reason) => return Ok(Err(reason)),
            }
        }
        let now: Vec<(String, PathBuf)> = on(&Disk).unwrap_or_default();
        let now: Vec<(String, PathBuf)> = now.into_iter().filter(|(label, _)| !places.iter().any(|(of, _)| of == label)).collect();
        let paths: Vec<PathBuf> = now.iter().map(|(_, path)| path.clone()).collect();
        let loose: Vec<(String, PathBuf)> =
            now.into_iter().zip(files.is_loose(&paths)).filter(|(_, loose)| *loose).map(|(one, _)| one).collect();
        if !loose.is_empty() {
            files.remark(as_now(input));
        }
        places.extend(loose.into_iter().map(|(label, path)| (label, Place::Disk(path))));
        places.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Ok(places))
    }

    /// Sees to it that a content that an earlier run had is in the cache: from another cache, from the revision, or from the disk. `paths` are where it may be.
    fn bring(&self, files: &ProjectFiles, paths: &[PathBuf], content: &Digest) -> Sought<()> {
        let Some(earlier) = files.earlier() else { return Ok(Ok(())) };
        if self.cache.contains(content) {
            return Ok(Ok(()));
        }
        for cache in &earlier.caches {
            if let Some(bytes) = cache.get_whole(content)? {
                self.cache.put(&bytes)?;
                return Ok(Ok(()));
            }
        }
        let mut there = None;
        for path in paths {
            for tree in files.trees() {
                if let Ok(bytes) = tree.read(path)
                    && Digest::of(&bytes) == *content
                {
                    self.cache.put(&bytes)?;
                    return Ok(Ok(()));
                }
            }
            if is_file(&Disk, path) {
                let (found, _) = self.cache.hash_file(path)?;
                if found == *content && self.cache.put_file(path)?.0 == *content {
                    return Ok(Ok(()));
                }
                there = Some(format!("{} is another file now ({})", path.display(), found.short()));
            }
        }
        let there = there.unwrap_or_else(|| match paths.first() {
            Some(path) => format!("{} is not there", path.display()),
            None => "no file of that name is there".into(),
        });
        Ok(Err(format!(
            "the content that run {} had ({}) is found neither in the cache nor in the repository, and {there}",
            earlier.run,
            content.short()
        )))
    }

    /// A file in the cache, and what a reader makes of it; an error is what is wrong with the file, in words.
    fn read_file(&self, reader: &Reader, place: &Place<'_>, Wanted { decoded, runs }: Wanted) -> Sought<Content> {
        let shown = place.path().display();
        // Of what a step reads as it is, a plan needs the digest alone.
        let is_file = matches!(reader.kind, Kind::File);
        let came = match place {
            Place::Object(content, _) => *content,
            Place::Disk(path) => {
                // What can't be read is the file's fault, and the next alternative may do; what can't be kept is the cache's.
                if let Err(error) = std::fs::File::open(path) {
                    return Ok(Err(format!("{shown} can't be read: {error}")));
                }
                if let Some(reason) = unfetched(path) {
                    return Ok(Err(format!("{shown}: {reason}")));
                }
                if is_file && !runs { self.cache.hash_file(path)?.0 } else { self.cache.put_file(path)?.0 }
            }
            Place::Afar(address) => match self.fetched(&address.to_string_lossy())? {
                Ok(content) => content,
                Err(reason) => return Ok(Err(reason)),
            },
            Place::Tree(tree, path) => match tree.read(path) {
                Ok(bytes) => self.cache.put(&bytes)?,
                Err(error) => return Ok(Err(format!("{shown} can't be read: {error}"))),
            },
        };
        if is_file {
            if runs && let Some(bytes) = self.cache.get(&came)? {
                let named = place.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                if let Err(reason) = readers::begins_well(reader, &Artifact::from_bytes(bytes), &named) {
                    return Ok(Err(format!("{shown}: {reason}")));
                }
            }
            return Ok(Ok(Content { came, whole: Some(came), raw: None }));
        }
        // What is only opened is not read as a whole, so it is not compared with its digest here.
        let bytes = |whole: bool| -> Result<Buffer, SessionError> {
            match self.cache.get(&came)? {
                Some(bytes) if !whole || self.cache.is_whole(&came, &bytes) => Ok(bytes),
                None if !self.cache.was_damaged(&came) => Err(SessionError::Bug("an input vanished from the cache".into())),
                _ => {
                    self.cache.quarantine(&came)?;
                    Err(SessionError::Damaged { what: format!("the copy of {shown} in the cache") })
                }
            }
        };
        let of_file = |text: String| format!("{shown}: {text}");
        let raw = reader.in_parts.then_some(came);
        if reader.in_parts && !decoded {
            return Ok(readers::open(reader, &bytes(false)?).map(|()| Content { came, whole: None, raw }).map_err(of_file));
        }
        let mut key = KeyEncoder::new();
        key.text("read");
        key.uint(READERS_VERSION);
        key.text(reader.name);
        key.digest(&came);
        let key = key.finish();
        if let Some(output) = self.cache.lookup(&key)?.and_then(|record| record.outputs.into_iter().next()) {
            return Ok(Ok(Content { came, whole: Some(output.digest), raw }));
        }
        let artifact = match readers::read(reader, &bytes(true)?) {
            Ok(artifact) => artifact,
            Err(reason) => return Ok(Err(of_file(reason))),
        };
        let encoded = artifact.encode().map_err(|error| SessionError::Bug(error.to_string()))?;
        let digest = self.cache.put(&encoded)?;
        self.cache.record(&key, &record_of(reader.name, &[("out", digest, encoded.len() as u64)]))?;
        Ok(Ok(Content { came, whole: Some(digest), raw }))
    }

    /// A file from afar, as content of the cache. What is known to be there still is not fetched again.
    fn fetched(&self, address: &str) -> Sought<Digest> {
        let options = match afar::options(self.cache.root(), self.sources.offline) {
            Ok(options) => options,
            Err(reason) => return Ok(Err(reason)),
        };
        let file = match Afar::open(address, &options) {
            Ok(file) => file,
            Err(reason) => return Ok(Err(reason)),
        };
        let key = file.version().map(|version| {
            let mut key = KeyEncoder::new();
            key.text("afar");
            key.text(address);
            key.text(&version);
            key.finish()
        });
        if let Some(key) = &key
            && let Some(output) = self.cache.lookup(key)?.and_then(|record| record.outputs.into_iter().next())
            && self.cache.contains(&output.digest)
        {
            return Ok(Ok(output.digest));
        }
        // What comes from afar is that server's business; what can't be kept is the cache's. Both end the writing, and the first is told.
        let mut broken = None;
        let written = self.cache.put_written(|into| file.write_to(into).inspect_err(|error| broken = Some(error.to_string())));
        let (digest, size) = match (written, broken) {
            (Ok(written), _) => written,
            (Err(_), Some(reason)) => return Ok(Err(reason)),
            (Err(error), None) => return Err(error.into()),
        };
        if let Some(key) = key {
            self.cache.record(&key, &record_of("afar", &[("out", digest, size)]))?;
        }
        Ok(Ok(digest))
    }

    async fn dataset(
        &self,
        input: &InputDecl,
        alternative: &Alternative,
        name: &str,
        files: &ProjectFiles,
        on_progress: OnProgress<'_>,
    ) -> Sought<Found> {
        let mut record = found_record(input, taken(alternative), false);
        let Some(set) = self.data.get(name) else {
            let names: Vec<&str> = self.data.iter().map(|(name, _)| name).collect();
            let near =
                neuroflow_stage::nearest(name, names.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Ok(Err(format!("there is no data set `{name}`; `neuroflow data list` names them{near}")));
        };
        if let Some(earlier) = files.earlier_input(&input.name.text)
            && self.has_all(set, earlier, files)?
        {
            record.members.clone_from(&earlier.members);
            record.files.clone_from(&earlier.members);
            return Ok(Ok(Found { record, whole: None, raw: None }));
        }
        match fetch::fetch(&self.cache, name, set, &self.sources, on_progress).await {
            Ok(fetched) => {
                record.members = fetched.into_iter().map(|file| (file.label, file.digest)).collect();
                record.files.clone_from(&record.members);
                Ok(Ok(Found { record, whole: None, raw: None }))
            }
            Err(fetch::FetchError::Cache(error)) => Err(error.into()),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Whether the files of a data set are those that an earlier run had, and are in a cache.
    fn has_all(&self, set: &DataSet, earlier: &InputRecord, files: &ProjectFiles) -> Result<bool, SessionError> {
        let labels = |label: &String| set.files.iter().any(|file| file.label == *label);
        if earlier.members.len() != set.files.len() || !earlier.members.iter().all(|(label, _)| labels(label)) {
            return Ok(false);
        }
        for (_, content) in &earlier.members {
            if self.bring(files, &[], content)?.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Runs a stage without inputs, through the cache.
    fn simulate(&self, input: &InputDecl, alternative: &Alternative) -> Result<Found, SessionError> {
        let stage =
            self.registry.get(&alternative.reader).ok_or_else(|| SessionError::Bug(format!("stage `{}` is gone", alternative.reader)))?;
        let signature = stage.signature();
        let wrong = |message: String| SessionError::Pipeline(vec![Diagnostic::error("wrong-value", alternative.span.clone(), message)]);
        let params = neuroflow_stage::params::fill(&signature.params, &alternative.named).map_err(wrong)?;
        let output = signature.outputs.first().ok_or_else(|| SessionError::Bug("a stage without outputs".into()))?;
        let call =
            StageCall { stage: Arc::from(alternative.reader.as_str()), version: signature.version, params: Arc::new(params), seed: 0 };
        let task = Task {
            label: input.name.text.clone(),
            step: input.name.text.clone(),
            work: Work::Call(call),
            arguments: Vec::new(),
            outputs: signature.outputs.iter().map(|output| (output.name.to_owned(), output.kind)).collect(),
            gpu: GpuPolicy::Never,
            cached: true,
        };
        let key = task.key(&[]);
        let digest = match lookup(&self.cache, &key, &task)? {
            Some(outcome) => outcome.outputs.first().map(|found| found.digest),
            None => {
                let made = crate::execute::execute(&task, Vec::new(), &self.registry, &Context::quiet(0));
                let made = made.map_err(|error| wrong(error.to_string()))?;
                let mut outputs = Vec::new();
                for (name, _) in &task.outputs {
                    let Some(artifact) = made.get(name) else { continue };
                    let bytes = artifact.encode().map_err(|error| SessionError::Bug(error.to_string()))?;
                    outputs.push((name.as_str(), self.cache.put(&bytes)?, bytes.len() as u64));
                }
                self.cache.record(&key, &record_of(&alternative.reader, &outputs))?;
                outputs.iter().find(|(name, _, _)| *name == output.name).map(|(_, digest, _)| *digest)
            }
        };
        let digest = digest.ok_or_else(|| SessionError::Bug(format!("`{}` gave nothing", alternative.reader)))?;
        let mut record = found_record(input, taken(alternative), true);
        let members = self.members_of(&digest, output.kind)?;
        record.members = if members.is_empty() { vec![(String::new(), digest)] } else { members };
        Ok(Found { record, whole: Some(digest), raw: None })
    }

    /// The files of a Dir, each as content of its own. A damaged one is in quarantine when this ends.
    fn members_of(&self, digest: &Digest, kind: Kind) -> Result<Vec<(String, Digest)>, SessionError> {
        if kind != Kind::Dir {
            return Ok(Vec::new());
        }
        let artifact = load(&self.cache, digest, kind).map_err(|problem| match problem {
            Problem::Damaged(digest, error) => SessionError::Damaged { what: format!("object {digest} of an input ({error})") },
            Problem::Cache(error) => SessionError::Cache(error),
            Problem::Stage(error) => SessionError::Bug(error.to_string()),
            Problem::Ended(ending) => SessionError::Bug(format!("{ending:?}")),
        })?;
        let Payload::Tree(tree) = artifact.payload() else { return Ok(Vec::new()) };
        tree.iter().map(|(name, bytes)| Ok((name.to_owned(), self.cache.put(bytes)?))).collect()
    }
}

/// The recordings of a tree that fulfil conditions: the name of each, and the paths of it and of what belongs to it.
fn recordings(root: &Path, conditions: &[(&str, &str)]) -> Result<Vec<(String, Vec<String>)>, String> {
    let told = |error: neuroflow_formats::FormatError| error.to_string();
    let tree = bids::open(Arc::new(DiskFolder::new(root)), &Limits::default()).map_err(told)?;
    let chosen: Vec<&BidsFile> = tree.select(conditions).map_err(told)?.into_iter().filter(|file| bids::is_data(file)).collect();
    if chosen.is_empty() {
        return Err("no recording or image of the tree fits; `neuroflow inspect` lists its files".into());
    }
    let mut found = Vec::with_capacity(chosen.len());
    for file in chosen {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        let label = name.strip_suffix(file.name.extension.as_str()).unwrap_or(name).to_owned();
        let mut paths = vec![file.path.clone()];
        paths.extend(tree.associated(&file.path).map_err(told)?.into_iter().map(|other| other.path));
        let of_all = ["dataset_description.json", "participants.tsv", "participants.json"];
        paths.extend(of_all.into_iter().filter(|path| tree.file(path).is_ok()).map(str::to_owned));
        // A folder that counts as a file is read by no reader here.
        paths.retain(|path| !path.ends_with('/'));
        paths.sort();
        paths.dedup();
        found.push((label, paths));
    }
    Ok(found)
}

/// What an alternative takes, in words.
fn taken(alternative: &Alternative) -> String {
    let argument = match alternative.arguments.first() {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    match alternative.reader.as_str() {
        reader if alternative.is_stage => format!("simulated by `{reader}`"),
        "dataset" => format!("data set {argument}"),
        "bids" => {
            let conditions = alternative.named.iter().filter(|(key, _)| *key != "when").map(|(key, value)| format!(", {key} = {value}"));
            format!("tree {argument}{}", conditions.collect::<String>())
        }
        _ if glob::is_pattern(argument) => format!("files {argument}"),
        _ => format!("file {argument}"),
    }
}

/// Holds an input to what an earlier run had. Files are found by their digests; records of old hold only what readers made of them.
fn same_as_then(found: Found, earlier: Option<&InputRecord>, files: &ProjectFiles) -> Result<Found, String> {
    let (Some(earlier), Some(run)) = (earlier, files.earlier()) else { return Ok(found) };
    if found.record.members == earlier.members {
        return Ok(found);
    }
    let name = &earlier.name;
    if found.record.simulated || !earlier.files.is_empty() {
        files.remark(format!(
            "`{name}` is read from the same files as by run {}, and is not the same: this neuroflow reads them otherwise",
            run.run
        ));
        return Ok(found);
    }
    Err(format!("`{name}` is no longer what run {} had, and that run did not record its files", run.run))
}

fn as_now(input: &InputDecl) -> String {
    let name = &input.name.text;
    format!("`{name}` is not under version control, and no run at this revision has recorded it: it is taken as it is now")
}

/// Once more when something was damaged: it is in quarantine now, and is made anew.
fn again_if_damaged<T>(attempt: impl Fn() -> Result<T, SessionError>) -> Result<T, SessionError> {
    match attempt() {
        Err(SessionError::Damaged { .. }) => attempt(),
        done => done,
    }
}

fn found_record(input: &InputDecl, taken: String, simulated: bool) -> InputRecord {
    InputRecord { name: input.name.text.clone(), taken, passed_over: Vec::new(), simulated, members: Vec::new(), files: Vec::new() }
}

fn record_of(stage: &str, outputs: &[(&str, Digest, u64)]) -> ActionRecord {
    ActionRecord {
        stage: stage.to_owned(),
        version: 1,
        outputs: outputs
            .iter()
            .map(|(slot, digest, size)| ActionOutput { slot: (*slot).to_owned(), digest: *digest, size: *size })
            .collect(),
        ..ActionRecord::default()
    }
}
