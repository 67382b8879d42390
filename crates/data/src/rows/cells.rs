//! What one cell of an Arrow array says.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::DataType;

/// The value of a cell.
#[derive(Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Absent,
    Text(&'a str),
    /// A number or a truth value, as it is written.
    Bare(String),
    Bytes(&'a [u8]),
    /// Of a type that is no text, number or picture.
    Other,
}

/// The value in `row`. A struct of `bytes` and `path`, as Hugging Face writes pictures, is its bytes,
/// or its path where it has none.
pub(crate) fn cell(column: &dyn Array, row: usize) -> Cell<'_> {
    if column.is_null(row) {
        return Cell::Absent;
    }
    match column.data_type() {
        DataType::Null => Cell::Absent,
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Cell::Text(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Cell::Text(column.as_string_view().value(row)),
        DataType::Binary => Cell::Bytes(column.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Cell::Bytes(column.as_binary::<i64>().value(row)),
        DataType::BinaryView => Cell::Bytes(column.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Cell::Bytes(column.as_fixed_size_binary().value(row)),
        DataType::Boolean => Cell::Bare(column.as_boolean().value(row).to_string()),
        DataType::Int8 => number::<Int8Type>(column, row),
        DataType::Int16 => number::<Int16Type>(column, row),
        DataType::Int32 => number::<Int32Type>(column, row),
        DataType::Int64 => number::<Int64Type>(column, row),
        DataType::UInt8 => number::<UInt8Type>(column, row),
        DataType::UInt16 => number::<UInt16Type>(column, row),
        DataType::UInt32 => number::<UInt32Type>(column, row),
        DataType::UInt64 => number::<UInt64Type>(column, row),
        DataType::Float32 => number::<Float32Type>(column, row),
        DataType::Float64 => number::<Float64Type>(column, row),
        DataType::Dictionary(_, _) => {
            let dictionary = column.as_any_dictionary();
            let keys = dictionary.normalized_keys();
            match keys.get(row) {
                Some(&key) if key < dictionary.values().len() => {
                    cell(dictionary.values().as_ref(), key)
                }
                _ => Cell::Other,
            }
        }
        DataType::Struct(_) => {
            let fields = column.as_struct();
            let field = |name| fields.column_by_name(name).map(|field| cell(field.as_ref(), row));
            match (field("bytes"), field("path")) {
                (Some(bytes @ Cell::Bytes(_)), _) => bytes,
                (Some(Cell::Absent), Some(path @ Cell::Text(_))) => path,
                (Some(Cell::Absent), Some(Cell::Absent) | None) => Cell::Absent,
                _ => Cell::Other,
            }
        }
        _ => Cell::Other,
    }
}

fn number<T: ArrowPrimitiveType>(column: &dyn Array, row: usize) -> Cell<'_>
where
    T::Native: ToString,
{
    Cell::Bare(column.as_primitive::<T>().value(row).to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int8Type;
    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Float64Array,
        LargeBinaryArray, LargeStringArray, ListArray, NullArray, StringArray, StringViewArray,
        StructArray, UInt16Array,
    };
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn strings_of_any_type_are_texts() {
        let dictionary: DictionaryArray<Int8Type> =
            [Some("y"), Some("x"), None].into_iter().collect();
        let columns: [ArrayRef; 4] = [
            Arc::new(StringArray::from(vec![Some("y"), Some("x"), None])),
            Arc::new(LargeStringArray::from(vec![Some("y"), Some("x"), None])),
            Arc::new(StringViewArray::from(vec![Some("y"), Some("x"), None])),
            Arc::new(dictionary),
        ];
        for column in columns {
            assert_eq!(cell(&column, 1), Cell::Text("x"), "{:?}", column.data_type());
            assert_eq!(cell(&column, 2), Cell::Absent, "{:?}", column.data_type());
        }
    }

    #[test]
    fn numbers_are_as_they_are_written() {
        let bare = |text: &str| Cell::Bare(text.to_owned());
        assert_eq!(cell(&UInt16Array::from(vec![7]), 0), bare("7"));
        // Where pandas had a gap among whole numbers.
        assert_eq!(cell(&Float64Array::from(vec![1.0]), 0), bare("1"));
        assert_eq!(cell(&BooleanArray::from(vec![true]), 0), bare("true"));
        assert_eq!(cell(&NullArray::new(1), 0), Cell::Absent);
        let list = ListArray::from_iter_primitive::<Int8Type, _, _>([Some([Some(1)])]);
        assert_eq!(cell(&list, 0), Cell::Other);
    }

    #[test]
    fn pictures_are_bytes_or_the_struct_of_hugging_face() {
        let bytes = Cell::Bytes(b"ab");
        assert_eq!(cell(&BinaryArray::from(vec![b"ab".as_slice()]), 0), bytes);
        assert_eq!(cell(&LargeBinaryArray::from(vec![b"ab".as_slice()]), 0), bytes);
        let fixed = FixedSizeBinaryArray::try_from_iter([b"ab"].into_iter()).unwrap();
        assert_eq!(cell(&fixed, 0), bytes);
        let column = |name: &str, array: ArrayRef| {
            (Arc::new(Field::new(name, array.data_type().clone(), true)), array)
        };
        let pictures = BinaryArray::from_opt_vec(vec![Some(b"ab"), None, None]);
        let paths = StringArray::from(vec![Some("a.png"), Some("b.png"), None]);
        let column = StructArray::from(vec![
            column("bytes", Arc::new(pictures)),
            column("path", Arc::new(paths)),
        ]);
        assert_eq!(cell(&column, 0), bytes);
        assert_eq!(cell(&column, 1), Cell::Text("b.png"));
        assert_eq!(cell(&column, 2), Cell::Absent);
    }
}
