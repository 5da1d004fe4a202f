//! Processors other than x86_64, whose vDSO has other functions and whose stub isn't written: no clock can be made, so no program
//! is ever started under one.

use std::os::fd::BorrowedFd;

use crate::Miss;
use crate::keeper::Exec;
use crate::sys::{self, Request};

/// Lets an exec happen.
pub(crate) fn follow(listener: BorrowedFd<'_>, request: Request, _page: BorrowedFd<'_>) -> Exec {
    let _ = sys::allow(listener, request);
    Exec::Missed(request.thread, Miss::NotNative)
}
