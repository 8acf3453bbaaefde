//! The operator's commands.

pub(crate) mod apply;
pub(crate) mod call;
pub(crate) mod create;
pub(crate) mod dev;
pub(crate) mod logs;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod upgrade;
pub(crate) mod versions;
