//! Pictures of a search.

use anyhow::Result;

use crate::session::Session;
use crate::tune::outputs::Finished;

/// Draws everything that the trials are enough for.
pub fn draw(finished: &Finished, importance: &[(String, f64)], session: &Session) -> Result<()> {
    let _ = (finished, importance, session);
    Ok(())
}
