//! `remex call`: one request by name, with JSON.

use serde_json::{Value, json};

use crate::At;
use crate::installation::connect;
use crate::outcome::Outcome;
use crate::screen::Screen;

pub(crate) async fn run(
    at: &At,
    group: &str,
    method: &str,
    arguments: &str,
    screen: &Screen,
) -> Result<(), Outcome> {
    serde_json::from_str::<Value>(arguments)
        .map_err(|error| Outcome::Usage(format!("the arguments are no JSON: {error}")))?;
    let client = connect(at, group).await?;
    let session = client.session().await?;
    let reply = session.call_json(method, arguments, None).await?;
    let value: Value = serde_json::from_str(&reply.text)
        .map_err(|error| Outcome::Failed(format!("the reply is no JSON: {error}")))?;
    screen.line(&reply.text);
    screen.document(&json!({ "position": reply.position.0, "reply": value }));
    Ok(())
}
