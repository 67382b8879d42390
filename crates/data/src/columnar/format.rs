//! What the structures of a Parquet file are made of, as far as the Parquet library reads them.
//!
//! Source: `src/main/thrift/parquet.thrift` of the Parquet format 2.12. A field that is not here is one that
//! the library passes over.

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// In the field's own type, and no byte more.
    Boolean,
    Byte,
    /// Of 16, 32 or 64 bits, which take the same bytes.
    Integer,
    Double,
    /// Text or bytes.
    Binary,
    List(&'static Kind),
    Structure(Fields),
    /// The list of the nodes of a schema, each with these fields.
    Schema(Fields),
    /// The name of such a node.
    Name,
    /// How many nodes are right below it.
    Children,
    /// Bytes of a page behind its header.
    PageBytes,
    /// Values and nulls of a page.
    PageValues,
}

/// Fields by their numbers.
pub(super) type Fields = &'static [(i16, Kind)];

use Kind::{
    Binary, Boolean, Byte, Children, Double, Integer, List, Name, PageBytes, PageValues, Schema,
    Structure,
};

/// `FileMetaData`: all of a footer.
pub(super) const FOOTER: Fields = &[
    (1, Integer),
    (2, Schema(SCHEMA_ELEMENT)),
    (3, Integer),
    (4, List(&Structure(ROW_GROUP))),
    (5, KEY_VALUES),
    (6, Binary),
    (7, List(&Structure(COLUMN_ORDER))),
];

/// `PageHeader`. What it says of minima and maxima is passed over.
pub(super) const PAGE_HEADER: Fields = &[
    (1, Integer),
    (2, Integer),
    (3, PageBytes),
    (4, Integer),
    (5, Structure(&[(1, PageValues), (2, Integer), (3, Integer), (4, Integer)])),
    (6, EMPTY),
    (7, Structure(&[(1, Integer), (2, Integer), (3, Boolean)])),
    (8, Structure(DATA_PAGE_V2)),
];

const DATA_PAGE_V2: Fields = &[
    (1, PageValues),
    (2, Integer),
    (3, Integer),
    (4, Integer),
    (5, Integer),
    (6, Integer),
    (7, Boolean),
];

const EMPTY: Kind = Structure(&[]);

const KEY_VALUES: Kind = List(&Structure(&[(1, Binary), (2, Binary)]));

const SCHEMA_ELEMENT: Fields = &[
    (1, Integer),
    (2, Integer),
    (3, Integer),
    (4, Name),
    (5, Children),
    (6, Integer),
    (7, Integer),
    (8, Integer),
    (9, Integer),
    (10, Structure(LOGICAL_TYPE)),
];

/// One of these.
const LOGICAL_TYPE: Fields = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Structure(&[(1, Integer), (2, Integer)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Structure(&[(1, Byte), (2, Boolean)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Structure(&[(1, Byte)])),
    (17, Structure(&[(1, Binary)])),
    (18, Structure(&[(1, Binary), (2, Integer)])),
    (19, EMPTY),
];

const TIME: Kind =
    Structure(&[(1, Boolean), (2, Structure(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]))]);

const COLUMN_ORDER: Fields = &[(1, EMPTY), (2, EMPTY), (3, EMPTY)];

const ROW_GROUP: Fields = &[
    (1, List(&Structure(COLUMN_CHUNK))),
    (2, Integer),
    (3, Integer),
    (4, List(&Structure(&[(1, Integer), (2, Boolean), (3, Boolean)]))),
    (5, Integer),
    (7, Integer),
];

const COLUMN_CHUNK: Fields = &[
    (1, Binary),
    (2, Integer),
    (3, Structure(COLUMN_METADATA)),
    (4, Integer),
    (5, Integer),
    (6, Integer),
    (7, Integer),
];

const COLUMN_METADATA: Fields = &[
    (1, Integer),
    (2, List(&Integer)),
    (4, Integer),
    (5, Integer),
    (6, Integer),
    (7, Integer),
    (9, Integer),
    (10, Integer),
    (11, Integer),
    (12, Structure(STATISTICS)),
    (13, List(&Structure(&[(1, Integer), (2, Integer), (3, Integer)]))),
    (14, Integer),
    (15, Integer),
    (16, Structure(&[(1, Integer), (2, List(&Integer)), (3, List(&Integer))])),
    (17, Structure(&[(1, Structure(BOUNDING_BOX)), (2, List(&Integer))])),
];

const STATISTICS: Fields = &[
    (1, Binary),
    (2, Binary),
    (3, Integer),
    (4, Integer),
    (5, Binary),
    (6, Binary),
    (7, Boolean),
    (8, Boolean),
    (9, Integer),
];

const BOUNDING_BOX: Fields = &[
    (1, Double),
    (2, Double),
    (3, Double),
    (4, Double),
    (5, Double),
    (6, Double),
    (7, Double),
    (8, Double),
];
