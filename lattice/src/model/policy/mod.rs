//! What the workflow in `config.json` allows. Rules only: plans, reviews and histories are read by the caller.

mod claim;
mod completion;
mod decide;
mod freshness;
mod plan;
mod reopened;
#[cfg(test)]
mod tests;
mod transitions;

pub use claim::{claim_path, claim_steps};
pub use completion::{Review, check_completion, wants_fresh_review};
pub use decide::{Move, Wish, decide};
pub use freshness::{REVIEW, newest_artifact};
pub use plan::{PLAN_GATE, Plan, check_plan, is_scaffold};
pub use reopened::{Reopened, last_reopening};
pub use transitions::{check_transition, is_backward, resolve_status, valid_transitions};
