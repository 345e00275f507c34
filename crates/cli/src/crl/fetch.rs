// SPDX-License-Identifier: Apache-2.0
//! Asks the authorities: every question once, and what does not answer is tried elsewhere.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use sealwatch_api::text::clip;
use sealwatch_verifier::{
    Revocation,
    notation::{MAX_URLS_PER_CERTIFICATE, RevocationList, RevocationQuestion},
};

use crate::output::TEXT_MOST;

/// How many lists are fetched at once; of one host half of them.
const LISTS_AT_ONCE: usize = 8;

/// Where one list is to be had, by any of its URLs.
#[derive(Clone, Debug)]
pub(super) struct Place {
    questions: Vec<RevocationQuestion>,
    /// The list that it is to be a delta of.
    base: Option<RevocationList>,
}

/// A list that is authentic and current.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    /// What it answers.
    pub(super) question: RevocationQuestion,
    pub(super) list: RevocationList,
    pub(super) is_delta: bool,
}

/// A URL and the issuer of the list that is to be there.
type Key = (String, String);
type Heard = BTreeMap<Key, Result<RevocationList, String>>;

fn key(question: &RevocationQuestion) -> Key {
    (question.url.clone(), question.issuer.sha256().to_owned())
}

impl Fetched {
    /// The name of who made it.
    pub(super) fn issuer(&self) -> String {
        clip(self.question.issuer.subject(), TEXT_MOST)
    }
}

impl Place {
    /// A complete list.
    pub(super) fn of(questions: Vec<RevocationQuestion>) -> Self {
        Self { questions, base: None }
    }

    /// Whether both are the same list.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.questions.iter().map(key).eq(other.questions.iter().map(key))
    }

    /// What one of its URLs is worth.
    fn check(&self, heard: &Heard, question: &RevocationQuestion) -> Result<RevocationList, String> {
        let list = heard.get(&key(question)).cloned().unwrap_or_else(|| Err("was not asked".to_owned()))?;
        if let Some(base) = &self.base {
            list.check_delta_of(base).map_err(|error| error.to_string())?;
        }
        Ok(list)
    }

    /// The list by the first URL that has it, or a sentence with the reason for each.
    fn found(&self, heard: &Heard) -> Result<Fetched, String> {
        let mut whys = Vec::new();
        for question in &self.questions {
            match self.check(heard, question) {
                Ok(list) => {
                    return Ok(Fetched { question: question.clone(), list, is_delta: self.base.is_some() });
                }
                Err(why) => whys.push(format!("{}: {why}", question.url)),
            }
        }
        let issuer = self.questions.first().map(|one| clip(one.issuer.subject(), TEXT_MOST)).unwrap_or_default();
        let what = if self.base.is_some() { "a delta of the revocation list" } else { "the revocation list" };
        Err(format!("{what} of {issuer:?} could not be had: {}", whys.join("; ")))
    }
}

/// Fetches all lists, and the deltas that they name; each list once.
///
/// # Errors
/// A sentence for each that could not be had, or is no good.
pub(super) async fn all(revocation: &Revocation, places: &[Place]) -> Result<Vec<Fetched>, Vec<String>> {
    let mut heard = Heard::new();
    let mut lists = round(revocation, &mut heard, places).await?;
    let mut of_deltas: Vec<Place> = Vec::new();
    let mut failed = Vec::new();
    for one in &lists {
        match one.question.deltas(&one.list) {
            None => {}
            Some(questions) if questions.is_empty() => {
                let why = "names its delta at no http URL, and does not count without it";
                failed.push(format!("the revocation list of {:?} at {}: {why}", one.issuer(), one.question.url));
            }
            Some(questions) => of_deltas.push(Place { questions, base: Some(one.list.clone()) }),
        }
    }
    if !failed.is_empty() {
        return Err(failed);
    }
    lists.extend(round(revocation, &mut heard, &of_deltas).await?);
    Ok(lists)
}

/// Asks at the first URL of each place, and where that is of no use, at the next.
async fn round(revocation: &Revocation, heard: &mut Heard, places: &[Place]) -> Result<Vec<Fetched>, Vec<String>> {
    for rank in 0..MAX_URLS_PER_CERTIFICATE {
        let mut wanted = BTreeMap::new();
        for place in places.iter().filter(|place| place.found(heard).is_err()) {
            let question = place.questions.get(rank).filter(|question| !heard.contains_key(&key(question)));
            wanted.extend(question.map(|question| (key(question), question)));
        }
        // Collected, because the compiler cannot tell that a stream of borrowing closures may be sent.
        let asks: Vec<_> =
            wanted.into_iter().map(async |(key, question)| (key, revocation.fetch_list(question).await)).collect();
        heard.extend(stream::iter(asks).buffer_unordered(LISTS_AT_ONCE).collect::<Vec<_>>().await);
    }
    let (mut lists, mut failed) = (Vec::<Fetched>::new(), Vec::new());
    for place in places {
        match place.found(heard) {
            Ok(found) if lists.iter().any(|known| known.list == found.list) => {}
            Ok(found) => lists.push(found),
            Err(why) if failed.contains(&why) => {}
            Err(why) => failed.push(why),
        }
    }
    if failed.is_empty() { Ok(lists) } else { Err(failed) }
}
