// SPDX-License-Identifier: Apache-2.0
//! Mutations of CBOR values; how they are written is left to mutations of bytes.

use coset::cbor::Value;

use crate::random::Random;

/// A value that parsers like to read differently.
fn any(random: &mut Random) -> Value {
    match random.below(16) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => 0.into(),
        3 => (-1).into(),
        4 => u64::MAX.into(),
        5 => 1.5.into(),
        6 => f64::NAN.into(),
        7 => "".into(),
        8 => "x".into(),
        9 => Value::Bytes(Vec::new()),
        10 => Value::Array(Vec::new()),
        11 => Value::Map(Vec::new()),
        12 => Value::Tag(1, Box::new(1_900_000_000.into())),
        13 => Value::Tag(0, Box::new("2027-01-01T00:00:00Z".into())),
        14 => Value::Tag(1, Box::new(1.9e9.into())),
        _ => "notary.x509".into(),
    }
}

/// Changes something in a map of headers.
pub(super) fn mutate(random: &mut Random, members: &mut Vec<(Value, Value)>) {
    let value = any(random);
    if members.is_empty() {
        members.push((any(random), value));
        return;
    }
    let at = random.below(members.len());
    match random.below(10) {
        0 => drop(members.remove(at)),
        1 => members.push(members[at].clone()),
        2 => members.push((any(random), value)),
        3 => members[at].0 = any(random),
        4 => members[at].0 = rename(random, &members[at].0),
        5 => members.swap(0, at),
        6 => {
            let other = random.below(members.len());
            members[at].1 = members[other].1.clone();
        }
        7 => members[at].1 = value,
        _ => change(random, &mut members[at].1),
    }
}

fn rename(random: &mut Random, label: &Value) -> Value {
    match label {
        Value::Text(name) if random.one_in(2) => name.to_uppercase().into(),
        Value::Text(name) => format!("{name}x").into(),
        _ => i64::try_from(random.below(40)).unwrap_or_default().into(),
    }
}

fn change(random: &mut Random, value: &mut Value) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            let at = random.below(items.len());
            match random.below(5) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                2 => items.push(any(random)),
                3 => items[at] = any(random),
                _ => change(random, &mut items[at]),
            }
        }
        Value::Map(members) => mutate(random, members),
        Value::Tag(tag, _) if random.one_in(2) => *tag ^= 1,
        Value::Tag(_, inner) => {
            **inner = match random.below(6) {
                0 => i64::MAX.into(),
                1 => (-62_135_596_800_i64).into(),
                2 => f64::INFINITY.into(),
                3 => 1e300.into(),
                4 => 1_735_689_600.5.into(),
                _ => any(random),
            }
        }
        Value::Bytes(bytes) => super::bytes::mutate(random, bytes),
        Value::Text(text) => text.push_str(random.pick(&["x", " ", "\0", ".signingAuthority"])),
        other => *other = any(random),
    }
}
