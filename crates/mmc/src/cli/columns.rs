//! The columns of a table whose names are not the usual ones.

use clap::Args;
use mmc_data::ReadOptions;

/// Names of columns, as flags.
#[derive(Args, Debug)]
#[allow(clippy::struct_field_names, reason = "each is a flag of that name")]
pub(crate) struct ColumnFlags {
    /// A table's column of texts [default: text]
    #[arg(long, value_name = "C", requires = "dataset")]
    text_column: Option<String>,
    /// A table's column of pictures: paths, or bytes in Parquet [default: image]
    #[arg(long, value_name = "C", requires = "dataset")]
    image_column: Option<String>,
    /// A table's column of labels [default: label]
    #[arg(long, value_name = "C", requires = "dataset")]
    label_column: Option<String>,
    /// A table's column of ids [default: id]
    #[arg(long, value_name = "C", requires = "dataset")]
    id_column: Option<String>,
}

impl ColumnFlags {
    /// How a split with these columns is read.
    pub(crate) fn read_options(&self) -> ReadOptions {
        ReadOptions {
            text_column: self.text_column.clone(),
            image_column: self.image_column.clone(),
            label_column: self.label_column.clone(),
            id_column: self.id_column.clone(),
            ..ReadOptions::default()
        }
    }
}
