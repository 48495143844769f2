use std::io::Write;
use std::path::Path;

use npyz::WriterBuilder;

use super::*;
use crate::source::Source;

/// The bytes of an array of NumPy.
fn npy<T: npyz::AutoSerialize>(values: Vec<T>, shape: &[u64], order: npyz::Order) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let options = npyz::WriteOptions::new().default_dtype().shape(shape).order(order);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values).unwrap();
    writer.finish().unwrap();
    bytes.into_inner()
}

/// The number in row `r`, column `c` of the matrices of these tests.
fn number(r: usize, c: usize) -> f32 {
    (10 * r + c) as f32
}

fn check_content(matrix: &Matrix, rows: usize, width: usize) {
    assert_eq!((matrix.len(), matrix.width()), (rows, width));
    let mut all = vec![0.0; rows * width];
    matrix.read(0, &mut all).unwrap();
    let expected: Vec<f32> =
        (0..rows).flat_map(|r| (0..width).map(move |c| number(r, c))).collect();
    assert_eq!(all, expected);
    let mut last = vec![0.0; width];
    matrix.read(rows - 1, &mut last).unwrap();
    assert_eq!(last, expected[(rows - 1) * width..]);
}

fn by_rows(rows: usize, width: usize) -> Vec<f64> {
    (0..rows).flat_map(|r| (0..width).map(move |c| f64::from(number(r, c)))).collect()
}

fn by_columns(rows: usize, width: usize) -> Vec<i32> {
    (0..width).flat_map(|c| (0..rows).map(move |r| number(r, c) as i32)).collect()
}

fn zipped(path: &Path, members: &[(&str, Vec<u8>)], method: zip::CompressionMethod) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in members {
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

/// Weights of a run in the folder of the data are no rows, and a fingerprint says what the files were.
#[test]
fn results_of_runs_are_no_shards() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("runs/a");
    std::fs::create_dir_all(&run).unwrap();
    for path in [dir.path().join("x.npy"), run.join("codes.npy")] {
        std::fs::write(path, npy(by_rows(4, 3), &[4, 3], npyz::Order::C)).unwrap();
    }
    let open = || Matrix::open(dir.path(), None, false).unwrap();
    assert_eq!((open().len(), open().fingerprint().unwrap().files), (8, 2));
    for name in ["config.toml", "metrics.csv"] {
        std::fs::write(run.join(name), "").unwrap();
    }
    assert_eq!((open().len(), open().fingerprint().unwrap().files), (4, 1));
}

#[test]
fn every_format_and_order_gives_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (c, f) = (npyz::Order::C, npyz::Order::Fortran);
    std::fs::write(at("c.npy"), npy(by_rows(4, 3), &[4, 3], c)).unwrap();
    std::fs::write(at("f.npy"), npy(by_columns(4, 3), &[4, 3], f)).unwrap();
    std::fs::write(at("t.npy"), npy(by_columns(4, 3), &[3, 4], c)).unwrap();
    std::fs::write(at("tf.npy"), npy(by_rows(4, 3), &[3, 4], f)).unwrap();
    std::fs::write(at("x.csv"), "a,b,c\n0,1,2\n10, 11,12\n20,21,22\n30,31,32\n").unwrap();
    std::fs::write(at("x.tsv"), "0\t1\t2\n10\t11\t12\n20\t21\t22\n30\t31\t32").unwrap();
    for name in ["c.npy", "f.npy", "x.csv", "x.tsv"] {
        check_content(&Matrix::open(&at(name), None, false).unwrap(), 4, 3);
    }
    for name in ["t.npy", "tf.npy"] {
        check_content(&Matrix::open(&at(name), None, true).unwrap(), 4, 3);
    }
    let members = [("x.npy", npy(by_rows(4, 3), &[4, 3], c)), ("y.npy", npy(vec![1u8], &[1], c))];
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        zipped(&at("x.npz"), &members, method);
        check_content(&Matrix::open(&at("x.npz"), Some("x"), false).unwrap(), 4, 3);
        let error = Matrix::open(&at("x.npz"), None, false).unwrap_err().to_string();
        assert!(error.contains("\"x\", \"y\""), "{error}");
    }
    let bytes: Vec<u8> = by_rows(4, 3).iter().flat_map(|v| v.to_le_bytes()).collect();
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F64, vec![4, 3], &bytes).unwrap();
    let file = safetensors::serialize([("w", view)], None).unwrap();
    std::fs::write(at("x.safetensors"), file).unwrap();
    check_content(&Matrix::open(&at("x.safetensors"), None, false).unwrap(), 4, 3);
}

#[test]
fn sparse_matrices_and_shards_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let c = npyz::Order::C;
    let members = [
        ("indices.npy", npy(vec![1i32, 2, 0, 1, 2], &[5], c)),
        ("indptr.npy", npy(vec![0i32, 2, 5], &[3], c)),
        ("data.npy", npy(vec![1f32, 2.0, 10.0, 11.0, 12.0], &[5], c)),
        ("shape.npy", npy(vec![2i64, 3], &[2], c)),
    ];
    zipped(&at("a.npz"), &members, zip::CompressionMethod::Deflated);
    check_content(&Matrix::open(&at("a.npz"), None, false).unwrap(), 2, 3);
    std::fs::write(at("b.csv"), "20,21,22\n30,31,32\n").unwrap();
    std::fs::write(at("notes.txt"), "not for us").unwrap();
    check_content(&Matrix::open(dir.path(), None, false).unwrap(), 4, 3);
    std::fs::write(at("c.csv"), "1,2\n").unwrap();
    let error = Matrix::open(dir.path(), None, false).unwrap_err().to_string();
    assert!(error.contains("c.csv") && error.contains("a.npz"), "{error}");
}

#[test]
fn files_that_are_no_matrix_are_named_as_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file.npy");
    let whole = npy(by_rows(4, 3), &[4, 3], npyz::Order::C);
    let longer = [&whole[..], b"ab"].concat();
    let cases: [(&[u8], &str); 11] = [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"\x80\x04\x95", "pickle"),
        (b"\x89PNG\r\n", "picture"),
        (b"PK\x03\x04damaged", "damaged zip"),
        (b"\x93NUMPY\x01\x00\x05\x00{", "ends in its header"),
        (&whole[..whole.len() - 1], "cut short"),
        (&longer, "2 bytes follow the array"),
        (b"1,2\n3,x\n", "line 2, column 2: \"x\" is not a number"),
        (b"1,2\n3\n", "line 2 has 1 fields"),
    ];
    for (bytes, word) in cases {
        std::fs::write(&path, bytes).unwrap();
        let error = Matrix::open(&path, None, false).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("file.npy"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    std::fs::write(&path, npy(vec![1f32; 3], &[3], npyz::Order::C)).unwrap();
    let error = Matrix::open(&path, None, false).unwrap_err().to_string();
    assert!(error.contains("rows and columns"), "{error}");
}

#[test]
fn missing_numbers_are_an_error_with_their_place_or_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.csv");
    std::fs::write(&path, "1,2\n3,\n").unwrap();
    let matrix = std::sync::Arc::new(Matrix::open(&path, None, false).unwrap());
    let batch = |missing| {
        let none = Normalization::none();
        MatrixBatches::new(matrix.clone(), none, missing, 2, 0).unwrap().batch(0)
    };
    let error = batch(Missing::Error).unwrap_err().to_string();
    assert!(error.contains("row 1, column 1"), "{error}");
    assert_eq!(batch(Missing::Nan).unwrap().input.iter().filter(|v| v.is_nan()).count(), 1);
}

#[test]
fn a_pass_has_every_row_once_and_any_step_can_be_computed() {
    let matrix =
        std::sync::Arc::new(Matrix::of_values((0..60).map(|v| v as f32).collect(), 3).unwrap());
    let all = || {
        let none = Normalization::none();
        MatrixBatches::new(matrix.clone(), none, Missing::Error, 5, 7).unwrap()
    };
    let rows: Vec<usize> = (0..4).flat_map(|step| all().rows(step)).collect();
    let mut sorted = rows.clone();
    sorted.sort();
    assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    assert_eq!(all().batch(9).unwrap(), all().batch(9).unwrap());
    assert_ne!(all().rows(0), all().rows(4));
    let (trained, held_out) = (all().of_part(0..16, 4), all().of_part(16..20, 4));
    let trained: Vec<usize> = (0..12).flat_map(|step| trained.rows(step)).collect();
    assert!(held_out.rows(0).iter().all(|row| !trained.contains(row)));
}

#[test]
fn normalisation_is_undone() {
    let matrix = Matrix::of_values(vec![1.0, 5.0, 2.0, 5.0, 6.0, 5.0], 2).unwrap();
    for kind in [Normalize::None, Normalize::Center, Normalize::Scale, Normalize::CenterScale] {
        let found = MatrixBatches::measure(&matrix, kind, Missing::Error, 0).unwrap();
        let mut datum = [2.0, 5.0];
        assert_eq!(found.apply(&mut datum), 1.0);
        if kind == Normalize::CenterScale {
            assert!((datum[0] + 0.462_91).abs() < 1e-4 && datum[1] == 0.0, "{datum:?}");
        }
        found.undo(&mut datum);
        assert!((datum[0] - 2.0).abs() < 1e-6 && (datum[1] - 5.0).abs() < 1e-6, "{datum:?}");
    }
    let unit = MatrixBatches::measure(&matrix, Normalize::Unit, Missing::Error, 0).unwrap();
    let mut datum = [3.0, 4.0];
    assert_eq!(unit.apply(&mut datum), 5.0);
    assert_eq!(datum, [0.6, 0.8]);
}
