//! `neuroflow serve`: a page on this machine that shows runs, and proposals that wait.

use super::Place;
use super::agent::gate;
use super::data::runtime;
use crate::arguments::Serve;
use crate::exit::{Exit, Failure};
use neuroflow_cache::Digest;
use neuroflow_loopback::Token;
use neuroflow_serve::{Options, PageServer, ServeError};

pub(crate) fn serve(place: &Place, serve: &Serve) -> Result<Exit, Failure> {
    let root = std::env::current_dir().map_err(Failure::could_not_start)?;
    // What is wrong with the project or its settings is told now, and not with the first look.
    let looking = gate(place)?;
    let session = place.session()?;
    let name = Digest::of(root.as_os_str().as_encoded_bytes()).to_string();
    let token = session.cache.root().join("serve").join(name);
    let token = Token::kept(&token, serve.new_link).map_err(Failure::could_not_start)?;
    let place = Place { cache: place.cache.clone(), offline: place.offline };
    let options = Options {
        project: root.file_name().map_or_else(|| "project".into(), |name| name.to_string_lossy().into_owned()),
        session,
        looking,
        gate: Box::new(move || gate(&place).map_err(|failure| failure.message)),
    };
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let serving = async {
            let listening = PageServer::bind(options, serve.port, token).await?;
            println!(
                "open {}\nwho has this link may look, and decide as far as `approval` of neuroflow.toml lets a client; Ctrl-C ends it",
                listening.link()
            );
            listening.run().await;
            Ok(())
        };
        tokio::select! {
            served = serving => served.map(|()| Exit::Done),
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        }
    });
    runtime.shutdown_background();
    served.map_err(|error| match error {
        ServeError::Port { .. } => Failure::could_not_start(error).with_help("`--port` takes another one, and 0 any that is free"),
        other => Failure::could_not_start(other),
    })
}
