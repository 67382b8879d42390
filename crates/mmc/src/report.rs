//! `mmc report`: a results folder to its report and verdict.
