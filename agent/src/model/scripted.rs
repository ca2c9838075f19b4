//! A model that says what a test wants.

use super::error::ModelError;
use super::reply::Reply;
use super::request::Request;
use super::{Model, OnText};
use async_trait::async_trait;
use std::sync::{Mutex, PoisonError};

/// What a script answers to a question and its number, counted from 0.
type Script = dyn Fn(&Request, usize) -> Result<Reply, ModelError> + Send + Sync;

/// A model whose answers are written down beforehand. It keeps what it was asked.
pub struct Scripted {
    script: Box<Script>,
    asked: Mutex<Vec<Request>>,
}

impl Scripted {
    /// Answers what a function says, from the question and its number, counted from 0.
    pub fn new(script: impl Fn(&Request, usize) -> Result<Reply, ModelError> + Send + Sync + 'static) -> Self {
        Self { script: Box::new(script), asked: Mutex::default() }
    }

    /// Answers these, one after the other, and then that the script has ended.
    #[must_use]
    pub fn list(replies: Vec<Reply>) -> Self {
        Self::new(move |_, number| replies.get(number).cloned().ok_or(ModelError::ScriptEnded(number)))
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Model for Scripted {
    async fn reply(&self, request: &Request, on_text: OnText<'_>) -> Result<Reply, ModelError> {
        let number = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.push(request.clone());
            asked.len() - 1
        };
        let reply = (self.script)(request, number)?;
        // In two pieces, so that nobody comes to lean on one.
        let middle = (0..=reply.text.len() / 2).rev().find(|place| reply.text.is_char_boundary(*place)).unwrap_or(0);
        for piece in [&reply.text[..middle], &reply.text[middle..]] {
            if !piece.is_empty() {
                on_text(piece);
            }
        }
        Ok(reply)
    }

    fn name(&self) -> String {
        "script".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Message;

    #[tokio::test]
    async fn a_list_is_said_in_order_and_then_ends_loudly() {
        let question = Request::new(vec![Message::user("hello")], 10);
        let model = Scripted::list(vec![Reply::text(&question, "größer"), Reply::text(&question, "")]);
        let mut shown = Vec::new();
        let first = model.reply(&question, &mut |piece| shown.push(piece.to_owned())).await.unwrap();
        assert_eq!((first.text.as_str(), shown.concat().as_str(), shown.len()), ("größer", "größer", 2));
        assert_eq!(model.reply(&question, &mut |_| {}).await.unwrap().text, "");
        assert_eq!(model.reply(&question, &mut |_| {}).await, Err(ModelError::ScriptEnded(2)));
        assert_eq!(model.asked().len(), 3);
    }
}
