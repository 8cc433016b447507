//! The verdict: the faults of the run, in sentences.

use super::Outcome;

impl Outcome {
    /// Why the run is to be counted as failed, one sentence each; empty when
    /// it is not.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let connections = &self.connections;
        if connections.failures() > 0 {
            problems.push(format!(
                "{} of {} connections could not be opened: {}",
                connections.failures(),
                connections.asked,
                list(&connections.failed)
            ));
        }
        if connections.losses() > 0 {
            problems.push(format!(
                "{} open connections were lost: {}",
                connections.losses(),
                list(&connections.lost)
            ));
        }
        if let Some(deliveries) = &self.deliveries {
            for (count, what) in [
                (deliveries.lost, "never arrived"),
                (deliveries.reordered, "arrived after a later one"),
                (deliveries.duplicated, "arrived more than once"),
                (
                    deliveries.corrupt,
                    "arrived with other content than was sent",
                ),
            ] {
                if count > 0 {
                    problems.push(format!(
                        "{count} of {} deliveries {what}",
                        deliveries.expected
                    ));
                }
            }
        }
        problems.extend(self.failures.iter().cloned());
        problems
    }
}

fn list(causes: &std::collections::BTreeMap<crate::cause::Cause, u64>) -> String {
    let mut causes: Vec<_> = causes.iter().filter(|(_, count)| **count > 0).collect();
    causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    causes
        .iter()
        .map(|(cause, count)| format!("{count} {}", cause.describe()))
        .collect::<Vec<_>>()
        .join(", ")
}
