//! `neuroflow mcp`: the project for clients of the Model Context Protocol, over standard input and output or over HTTP on this machine.

use super::Place;
use super::agent::gate;
use super::data::runtime;
use crate::arguments::Mcp;
use crate::exit::{Exit, Failure};
use neuroflow_agent::{Project, path_below};
use neuroflow_loopback::Token;
use neuroflow_mcp::{HttpServer, Options, ServeError, Server};
use std::time::Duration;

pub(crate) fn mcp(place: &Place, mcp: &Mcp) -> Result<Exit, Failure> {
    let project = gate(place)?.project().clone();
    let options = Options { pipeline: pipeline(&project, mcp)?, wait: Duration::from_secs(mcp.wait) };
    let server = Server::new(project, options).map_err(told)?;
    let runtime = runtime()?;
    let served = runtime.block_on(async {
        let serving = async {
            match mcp.http {
                Some(address) => {
                    let token = Token::new().map_err(ServeError::Start)?;
                    let said = format!("Authorization: Bearer {}", token.reveal());
                    let listening = HttpServer::bind(server, address, token).await?;
                    // Standard output stays free, as with a client behind it.
                    eprintln!("listening at {}\nclients send: {said}\nthe token is not shown again", listening.url());
                    listening.run().await;
                    Ok(())
                }
                None => server.serve_stdio().await,
            }
        };
        tokio::select! {
            served = serving => served.map(|()| Exit::Done),
            _ = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
        }
    });
    // A read of standard input that is under way must not hold the program.
    runtime.shutdown_background();
    served.map_err(told)
}

fn told(error: ServeError) -> Failure {
    Failure::could_not_start(error)
}

/// The pipeline that the server is about: the one that is named, else the only one.
fn pipeline(project: &Project, mcp: &Mcp) -> Result<String, Failure> {
    if let Some(file) = &mcp.pipeline {
        let path = path_below(&project.root, file).map_err(|error| Failure::could_not_start(&error))?;
        // What can't be read or changed here is told now, and not with the first call.
        project.read(&path).map_err(|error| Failure::could_not_start(&error))?;
        return Ok(path);
    }
    match project.pipelines().as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::could_not_start("there is no pipeline in this folder")
            .with_help("name the one to begin: `--pipeline pipelines/new.nf`")),
        several => Err(Failure::could_not_start("there are several pipelines in this folder")
            .with_help(format!("name one with `--pipeline`: {}", several.join(", ")))),
    }
}
