// SPDX-License-Identifier: Apache-2.0
//! Registry scopes: the repositories that a statement is about.

use std::collections::BTreeMap;

use super::{PolicyError, Statement};

/// TP-17 to TP-21, after the rules of every statement, as in notation-go.
pub(super) fn check_scopes(statements: &[Statement]) -> Result<(), PolicyError> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for statement in statements {
        let name = || statement.name.clone();
        let scopes = &statement.registry_scopes;
        if scopes.is_empty() {
            return Err(PolicyError::NoScopes { statement: name() });
        }
        if scopes.len() > 1 && scopes.iter().any(|scope| scope == "*") {
            return Err(PolicyError::WildcardScopeWithOthers { statement: name() });
        }
        for scope in scopes {
            if scope != "*" && scope.contains('*') {
                return Err(PolicyError::ScopeWithWildcard { statement: name(), scope: scope.clone() });
            }
            if scope != "*" && !is_repository(scope) {
                return Err(PolicyError::ScopeInvalid { statement: name(), scope: scope.clone() });
            }
            let count = seen.entry(scope).or_default();
            *count = count.saturating_add(1);
        }
    }
    match seen.into_iter().find(|(_, count)| *count > 1) {
        Some((scope, _)) => Err(PolicyError::ScopeRepeated { scope: scope.to_owned() }),
        None => Ok(()),
    }
}

/// TP-20: `host[:port]/path` in the grammar of notation-go, which has no IPv6 hosts.
pub(super) fn is_repository(scope: &str) -> bool {
    let Some((authority, path)) = scope.split_once('/') else { return false };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_label = |label: &str| {
        label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(is_label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        && path.split('/').all(is_path_component)
}

/// Runs of `a-z 0-9`, joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = component.split(is_word).filter(|separator| !separator.is_empty());
    component.starts_with(is_word)
        && component.ends_with(is_word)
        && separators.into_iter().all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}
