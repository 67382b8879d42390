//! Options that not every data set has.

use crate::{AnswerSource, DataError, Dataset, ReadOptions, Task};

impl Dataset {
    /// Whether its files are the user's own, with columns and classes of any name.
    pub(crate) fn is_table(&self) -> bool {
        self.classes.is_none() && self.task == Task::Classes
    }

    /// Refuses options that this data set does not have: they would have no effect.
    pub(crate) fn check_options(&self, options: &ReadOptions) -> Result<(), DataError> {
        let columns = [
            ("--id-column", &options.id_column),
            ("--text-column", &options.text_column),
            ("--image-column", &options.image_column),
            ("--label-column", &options.label_column),
        ];
        let named = columns.iter().find(|(_, column)| column.is_some());
        if let Some((flag, _)) = named.filter(|_| !self.is_table()) {
            return Err(DataError::Setting(format!(
                "`{flag}` is for tables, and the columns of `{}` are known; leave it out",
                self.name
            )));
        }
        if options.answers == AnswerSource::TrainVal && self.task != Task::Answers {
            return Err(DataError::Setting(format!(
                "`--answers {}` is for answers to questions, and `{}` has classes; leave it out",
                options.answers, self.name
            )));
        }
        Ok(())
    }
}
