// SPDX-License-Identifier: Apache-2.0

//! `reasons.md`: every verdict, reason and condition, what it means, and what to do.

use std::error::Error;
use std::fmt::Write as _;

use sealwatch_api::condition::Circumstance;
use sealwatch_api::{ConditionReason, ConditionType, Reason, Verdict};

use crate::markdown::{GENERATED, line, table};
use crate::remedies::remedy;
use crate::shown::shown_by;

const HEAD: &str = "\
Every verdict has one reason, a stable word. It stands in the column REASON of `kubectl get iv`, in `status.reason`, in
the conditions, in events and in the label `reason` of the metric `sealwatch_images`. The message beside it names the
field, the certificate or the address.

```console
kubectl get imageverification NAME -n NAMESPACE -o jsonpath='{.status.message}'
```

How verdicts change, and what they are good for, is told in [verdicts.md](verdicts.md).
";

/// The page.
pub(crate) fn page() -> Result<String, Box<dyn Error>> {
    let mut text = format!("# Reasons, and what to do about them\n\n{GENERATED}\n{HEAD}");
    text += "\n## Verdicts\n\n";
    let verdicts: Vec<_> = Verdict::ALL.iter().map(|verdict| [code(verdict.as_str()), line(verdict.doc())]).collect();
    text += &table(["Verdict", "Meaning"], &verdicts);
    text += "\n## Conditions\n\n";
    let conditions: Vec<_> = ConditionType::ALL.iter().map(|kind| [code(kind.as_str()), line(kind.doc())]).collect();
    text += &table(["Type", "Meaning"], &conditions);
    for verdict in Verdict::ALL {
        let reasons = Reason::ALL.iter().filter(|reason| reason.verdict() == *verdict);
        text += &section(&format!("Verdict {verdict}"), reasons.map(|reason| (*reason).into()))?;
    }
    text += &section(
        "Reasons of conditions only",
        Circumstance::ALL.iter().map(|circumstance| ConditionReason::Circumstance(*circumstance)),
    )?;
    Ok(text)
}

fn code(word: &str) -> String {
    format!("`{word}`")
}

fn section(title: &str, reasons: impl Iterator<Item = ConditionReason>) -> Result<String, Box<dyn Error>> {
    let mut text = format!("\n## {title}\n");
    for reason in reasons {
        let (file, name) = shown_by(reason)?;
        // Writing to a String cannot fail.
        let _ = write!(text, "\n### {reason}\n{}\n\n**What to do.** {}\n", line(reason.doc()), line(remedy(reason)?));
        let _ = write!(text, "\n**Shown by** `{name}` in `e2e/tests/{file}.rs`.\n");
    }
    Ok(text)
}
