//! Questions to the members of a group.

use std::net::SocketAddr;

use wire::client::{ClientReply, ClientRequest, Decline};
use wire::hello::{Hello, Opener, Welcome};
use wire::log::UpgradeRequest;
use wire::status::GroupStatus;
use wire::{Position, SessionId};

use crate::line::{Line, LineError};

/// Stands for requests that belong to no session.
const NOBODY: SessionId = SessionId(0);

/// A group, as an operator speaks to it: whichever member answers will do.
#[derive(Debug)]
pub struct Group {
    name: String,
    contacts: Vec<SocketAddr>,
    line: Option<Line>,
    token: u64,
}

impl Group {
    /// The group with this name; any of its members is a contact.
    pub fn at(name: &str, contacts: Vec<SocketAddr>) -> Group {
        Group {
            name: name.to_owned(),
            contacts,
            line: None,
            token: 0,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its members' addresses, as far as they are known.
    pub fn contacts(&self) -> &[SocketAddr] {
        &self.contacts
    }

    /// What the group is doing, by one of its members.
    ///
    /// # Errors
    /// No member answered.
    pub fn status(&mut self) -> Result<GroupStatus, LineError> {
        let token = self.next();
        let request = ClientRequest::Status { token };
        let document = self.ask(&request, |reply| {
            let ClientReply::Status {
                token: of,
                document,
            } = reply
            else {
                return None;
            };
            (of == token).then_some(Answer::Given(document))
        })?;
        let status: GroupStatus = serde_json::from_str(&document).map_err(|why| {
            let address = self.line.as_ref().map(Line::address);
            LineError::Refused {
                address: address.unwrap_or_else(|| self.contacts[0]),
                why: format!("the status document is of another release: {why}"),
            }
        })?;
        self.contacts = status.members.iter().map(|m| m.address).collect();
        Ok(status)
    }

    /// Asks the group to replace its code; the upgrade's name. The same request may be repeated.
    ///
    /// # Errors
    /// Refused, with the reason, or no member answered.
    pub fn upgrade(&mut self, request: &UpgradeRequest) -> Result<Position, LineError> {
        let token = self.next();
        let request = ClientRequest::Upgrade {
            token,
            request: request.clone(),
        };
        self.ask(&request, |reply| {
            if let ClientReply::UpgradeAccepted { token: of, upgrade } = reply {
                return (of == token).then_some(Answer::Given(upgrade));
            }
            if let ClientReply::UpgradeRefused { token: of, why } = reply {
                return (of == token).then_some(Answer::Refused(why));
            }
            declined(reply, NOBODY)
        })
    }

    /// Executes a method by its name in a session of its own, with JSON arguments; the reply.
    ///
    /// # Errors
    /// The method refused as such, or no member answered.
    pub fn call(&mut self, method: &str, arguments: &str) -> Result<String, LineError> {
        let session = self.open()?;
        let request = ClientRequest::Json {
            session,
            number: 1,
            method: method.to_owned(),
            arguments: arguments.to_owned(),
        };
        self.ask(&request, |reply| {
            if let ClientReply::Json { call, reply, .. } = reply {
                return (call.session == session).then_some(Answer::Given(reply));
            }
            if let ClientReply::Results { results } = reply {
                let mut results = results.into_iter();
                let result = results.find(|result| result.call.session == session)?;
                return Some(Answer::Refused(format!("{:?}", result.outcome)));
            }
            declined(reply, session)
        })
    }

    fn open(&mut self) -> Result<SessionId, LineError> {
        let token = self.next();
        self.ask(&ClientRequest::Open { token }, |reply| {
            if let ClientReply::Opened { token: of, session } = reply {
                return (of == token).then_some(Answer::Given(session));
            }
            declined(reply, NOBODY)
        })
    }

    fn next(&mut self) -> u64 {
        self.token += 1;
        self.token
    }

    /// Asks the member that answered last, then each of the others once.
    fn ask<T>(
        &mut self,
        request: &ClientRequest,
        answer: impl Fn(ClientReply) -> Option<Answer<T>>,
    ) -> Result<T, LineError> {
        let mut last = LineError::Nobody {
            group: self.name.clone(),
        };
        let lines = self.line.take().map(Ok).into_iter();
        let dialled = self.contacts.iter().map(|at| dial(&self.name, *at));
        for line in lines.chain(dialled) {
            let asked = line.and_then(|mut line| {
                let found = question(&mut line, request, &answer)?;
                Ok((line, found))
            });
            match asked {
                Ok((line, Answer::Given(found))) => {
                    self.line = Some(line);
                    return Ok(found);
                }
                Ok((line, Answer::Refused(why))) => {
                    let refused = line.refused(why);
                    self.line = Some(line);
                    return Err(refused);
                }
                Ok((line, Answer::Elsewhere(why))) => last = line.refused(why),
                Err(why) => last = why,
            }
        }
        Err(last)
    }
}

/// What a member said.
enum Answer<T> {
    Given(T),
    Refused(String),
    /// Not here, but perhaps at another member.
    Elsewhere(String),
}

/// What a member says that does not take a request of this session: one question is under way at
/// a time, so a declined request of it is that question.
fn declined<T>(reply: ClientReply, session: SessionId) -> Option<Answer<T>> {
    let ClientReply::Declined { calls, reason } = reply else {
        return None;
    };
    calls.iter().find(|call| call.session == session)?;
    Some(match reason {
        Decline::AskAnother => Answer::Elsewhere("it takes no requests now".to_owned()),
        Decline::Unavailable => Answer::Elsewhere("it reaches no majority".to_owned()),
        Decline::Overloaded { limit } => Answer::Elsewhere(format!("it is overloaded: {limit}")),
        Decline::Invalid { why } => Answer::Refused(why),
    })
}

fn question<T>(
    line: &mut Line,
    request: &ClientRequest,
    answer: impl Fn(ClientReply) -> Option<Answer<T>>,
) -> Result<Answer<T>, LineError> {
    line.send(request)?;
    loop {
        if let Some(found) = answer(line.receive()?) {
            return Ok(found);
        }
    }
}

fn dial(group: &str, address: SocketAddr) -> Result<Line, LineError> {
    let mut line = Line::dial(address)?;
    line.send(&Hello::new(group, Opener::Client))?;
    match line.receive()? {
        Welcome::Accepted { .. } => Ok(line),
        Welcome::Refused { why } => Err(line.refused(why)),
        Welcome::Removed { view } => {
            Err(line.refused(format!("it is out of the group since {view}")))
        }
    }
}
