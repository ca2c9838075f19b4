//! The project for any client of the Model Context Protocol, behind the same gate as everything else.
//!
//! A client looks through the read tools of the agent and offers changes at its desk; neither the tools nor the desk can change a pipeline. A proposal waits
//! for a person at a terminal. Where the project leaves it to clients, and the client can show a form, the person is asked there; whatever comes back that is
//! not exactly a yes to exactly this proposal leaves it waiting. An elicited yes is recorded as what it is: the word of a client.
//!
//! The server runs nothing but trials of single stages where the project allows them, has no tool that takes a path or a command, and writes no file but through [`neuroflow_agent::Gate`].

mod calls;
mod clients;
mod form;
mod http;
mod offer;
mod pending;
mod prompts;
mod resources;
mod server;
mod wishes;

pub use http::HttpServer;
pub use server::{Options, ServeError, Server};
