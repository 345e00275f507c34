// SPDX-License-Identifier: Apache-2.0
//! How the judgement of `sealwatch-notation` compares with the rules of the Notary Project, and with its reference
//! implementation, notation-go. Beside that, which attacks are tried on the whole of Sealwatch.

pub mod attacks;
pub mod case;
pub mod compare;
pub mod exceptions;
pub mod grid;
pub mod mutate;
pub mod mutation;
pub mod oracle;
pub mod ours;
pub mod random;
pub mod rules;
pub mod run;

pub use exceptions::{Exception, exceptions};
