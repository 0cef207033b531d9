//! The life of one run as a small model, searched exhaustively: every order of steps, a kill between any two of
//! them, a disk that fills and empties, two reapers, and what each protocol mistake would do.

mod check;
mod end;
mod processes;
mod search;
mod state;
