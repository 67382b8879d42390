//! Whose head: classes are matched by name, never by luck.

use mmc_data::Arm;

use super::source::HeadPlan;
use super::weights::WeightFiles;
use super::{FreshHead, HeadOrigin, LoadRequest};
use crate::ModelError;
use crate::architecture::{HEAD, Head as Kind, HeadSize};
use crate::config::ConfigFile;

/// The classes of the model and where its head comes from.
pub(crate) struct Head {
    pub(crate) labels: Vec<String>,
    pub(crate) plan: HeadPlan,
    pub(crate) origin: HeadOrigin,
}

/// The head that the model shall have.
pub(crate) struct Wanted {
    pub(crate) kind: &'static Kind,
    pub(crate) arm: Arm,
    /// Of one representation that it reads.
    pub(crate) width: usize,
}

impl Wanted {
    /// Whether the checkpoint's head has the shapes of this one.
    fn fits(&self, weights: &WeightFiles, classes: usize) -> bool {
        let size = HeadSize { width: self.width, arm: self.arm, classes };
        (self.kind.shapes)(&size).iter().all(|(name, shape)| weights.shape(name) == Some(shape))
    }

    /// Classes of the checkpoint's head, where it has one of this kind.
    fn rows(&self, weights: &WeightFiles) -> Option<usize> {
        let shape = weights.shape(&format!("{}weight", self.kind.output))?;
        // A matrix of no numbers may claim any number of rows.
        shape.first().copied().filter(|_| !shape.contains(&0))
    }
}

/// Decides on the head: the checkpoint's if it has the right shape and its classes are those asked
/// for by name, or have no names; else a fresh one, where that is allowed.
pub(crate) fn head_for(
    request: &LoadRequest<'_>,
    config: &ConfigFile,
    wanted: &Wanted,
    weights: &WeightFiles,
) -> Result<Head, ModelError> {
    let named = config.classes()?;
    let found = wanted.rows(weights);
    let labels = if request.labels.is_empty() {
        own_labels(named.as_deref(), found)?
    } else {
        request.labels.to_vec()
    };
    check_labels(&labels)?;
    let matched = match found {
        None if weights.names().any(|name| name.starts_with(HEAD)) => {
            Err("its own is of another kind".to_owned())
        }
        None => Err("it has none at all".to_owned()),
        Some(_) if !wanted.fits(weights, labels.len()) => Err(match &named {
            Some(names) if names.len() != labels.len() => {
                format!("its own is for `{}`", shortened(names))
            }
            _ => "its own has another shape".to_owned(),
        }),
        Some(_) => order_of(named.as_deref(), &labels),
    };
    match (matched, request.fresh_head) {
        (Ok((order, origin)), _) => Ok(Head { labels, plan: HeadPlan::Taken { order }, origin }),
        (Err(why), FreshHead::Allowed { .. }) => {
            Ok(Head { labels, plan: HeadPlan::Fresh, origin: HeadOrigin::Fresh { why } })
        }
        (Err(problem), FreshHead::Refused) => {
            Err(ModelError::Head { folder: request.folder.to_owned(), classes: labels, problem })
        }
    }
}

/// The most classes: the largest public label sets have about 22,000.
const MOST_CLASSES: usize = 1 << 17;

/// The checkpoint's own classes: their names, else `LABEL_0`, `LABEL_1`, …
fn own_labels(named: Option<&[String]>, found: Option<usize>) -> Result<Vec<String>, ModelError> {
    let rows = match (named, found) {
        (Some(names), Some(rows)) if names.len() == rows => return Ok(names.to_vec()),
        (Some(names), None) => return Ok(names.to_vec()),
        (_, rows) => rows.unwrap_or(2),
    };
    if rows > MOST_CLASSES {
        let problem = format!("the checkpoint's head has {rows}, at most {MOST_CLASSES} will do");
        return Err(ModelError::Classes { classes: Vec::new(), problem });
    }
    Ok((0..rows).map(|index| format!("LABEL_{index}")).collect())
}

/// Which row of the file each class has.
fn order_of(named: Option<&[String]>, labels: &[String]) -> Result<(Vec<u32>, HeadOrigin), String> {
    let by_index = || ((0..labels.len() as u32).collect(), HeadOrigin::ByIndex);
    let Some(names) = named else { return Ok(by_index()) };
    let place = |label: &String| names.iter().position(|name| name == label).map(|row| row as u32);
    if names.len() == labels.len()
        && let Some(order) = labels.iter().map(place).collect()
    {
        return Ok((order, HeadOrigin::ByName));
    }
    let unnamed = names.iter().enumerate().all(|(index, name)| *name == format!("LABEL_{index}"));
    if unnamed && names.len() == labels.len() {
        return Ok(by_index());
    }
    Err(format!("its own is for `{}`", shortened(names)))
}

/// Checks that classes are two or more different names.
pub(crate) fn check_labels(labels: &[String]) -> Result<(), ModelError> {
    let mut sorted: Vec<&String> = labels.iter().collect();
    sorted.sort();
    let problem = match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => format!("`{}` stands there twice", pair[0]),
        None if labels.len() < 2 => "a classifier needs two or more".to_owned(),
        None => return Ok(()),
    };
    Err(ModelError::Classes { classes: labels.to_vec(), problem })
}

/// The first names of many.
fn shortened(names: &[String]) -> String {
    if names.len() <= 5 {
        return names.join("`, `");
    }
    format!(
        "{}` … (in all {} classes) … `{}",
        names[..4].join("`, `"),
        names.len(),
        names[names.len() - 1]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn classes_are_matched_by_name_then_by_index() {
        let labels = strings(&["no", "yes"]);
        let named = |names: &[&str]| order_of(Some(&strings(names)), &labels);
        assert_eq!(named(&["yes", "no"]), Ok((vec![1, 0], HeadOrigin::ByName)));
        assert_eq!(named(&["LABEL_0", "LABEL_1"]), Ok((vec![0, 1], HeadOrigin::ByIndex)));
        assert_eq!(order_of(None, &labels), Ok((vec![0, 1], HeadOrigin::ByIndex)));
        assert!(named(&["yes", "never"]).is_err());
        assert!(named(&["yes", "no", "never"]).is_err());
    }

    #[test]
    fn classes_have_to_be_two_and_different() {
        assert!(check_labels(&strings(&["a", "b"])).is_ok());
        for bad in [&["a"][..], &[], &["a", "b", "a"]] {
            assert!(matches!(check_labels(&strings(bad)), Err(ModelError::Classes { .. })));
        }
    }
}
