//! `neuroflow data`: data sets by name.

use super::{Place, data_registry};
use crate::amounts::bytes;
use crate::arguments::DataCommand;
use crate::exit::{Exit, Failure};
use indicatif::{ProgressBar, ProgressStyle};
use neuroflow_cache::Digest;
use neuroflow_engine::dataset::DataSet;
use neuroflow_engine::fetch;
use std::sync::Mutex;

pub(crate) fn data(place: &Place, command: &DataCommand) -> Result<Exit, Failure> {
    let registry = data_registry()?;
    let find = |name: &str| -> Result<DataSet, Failure> {
        registry.get(name).cloned().ok_or_else(|| {
            let near = neuroflow_stage::nearest(name, registry.iter().map(|(name, _)| name)).map(|near| format!("did you mean `{near}`?"));
            Failure::could_not_start(format!("there is no data set `{name}`"))
                .with_help(near.unwrap_or_else(|| "`neuroflow data list` names them".into()))
        })
    };
    match command {
        DataCommand::List => {
            for (name, set) in registry.iter() {
                println!("{name}: {}", set.title);
                println!("  {} files, {}, licence {}", set.files.len(), bytes(set.size()), set.licence);
                println!("  {}", set.source);
                println!("  cite: {}", set.citation);
            }
        }
        DataCommand::Get { name } => {
            let set = find(name)?;
            let session = place.session()?;
            let downloads = Downloads::new();
            let fetched = runtime()?.block_on(fetch::fetch(&session.cache, name, &set, &session.sources, &|label, done, total| {
                downloads.report(label, done, total)
            }));
            downloads.finish();
            for file in fetched.map_err(Failure::could_not_start)? {
                println!("{}  {}  {}", file.label, bytes(file.size), file.digest.short());
            }
        }
        DataCommand::Verify { name } => {
            let set = find(name)?;
            let cache = place.open_cache()?;
            let mut wrong = false;
            for file in &set.files {
                let said = match fetch::cached(&cache, file).map_err(Failure::could_not_start)? {
                    None => "not in the cache".to_owned(),
                    Some(found) => {
                        let whole = cache
                            .get(&found.digest)
                            .map_err(Failure::could_not_start)?
                            .is_some_and(|bytes| Digest::of(&bytes) == found.digest);
                        if !whole {
                            cache.quarantine(&found.digest).map_err(Failure::could_not_start)?;
                            wrong = true;
                        }
                        if whole {
                            "right".to_owned()
                        } else {
                            "damaged; put into quarantine, `neuroflow data get` fetches it again".to_owned()
                        }
                    }
                };
                println!("{}  {}  {said}", file.label, file.name);
            }
            if wrong {
                return Ok(Exit::StepFailed);
            }
        }
    }
    Ok(Exit::Done)
}

/// The runtime for what waits: downloads and running steps.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .map_err(|error| Failure::could_not_start(format!("no threads can be started: {error}")))
}

/// A bar for the file that is being downloaded.
pub(crate) struct Downloads {
    bar: Mutex<Option<(String, ProgressBar)>>,
}

impl Downloads {
    pub(crate) fn new() -> Downloads {
        Downloads { bar: Mutex::new(None) }
    }

    pub(crate) fn report(&self, label: &str, done: u64, total: u64) {
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if bar.as_ref().is_none_or(|(known, _)| known != label) {
            if let Some((_, old)) = bar.take() {
                old.finish_and_clear();
            }
            let new = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("download {msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
            {
                new.set_style(style);
            }
            new.set_message(label.to_owned());
            *bar = Some((label.to_owned(), new));
        }
        if let Some((_, bar)) = bar.as_ref() {
            bar.set_position(done);
        }
    }

    pub(crate) fn finish(&self) {
        if let Some((_, bar)) = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}
