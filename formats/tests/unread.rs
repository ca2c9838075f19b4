//! Files that are known and not read: told by whatever reader is asked, and never taken for text.

use crate::reading::source;
use neuroflow_formats::{Options, open_as};

#[test]
fn a_stream_of_arrow_is_no_table_of_text() {
    // As `pyarrow.ipc.new_stream` begins: a mark, then the length of the schema.
    let stream = [&[0xff, 0xff, 0xff, 0xff, 0x78, 0, 0, 0][..], &[0x10; 120], b"a,b\n1,2\n"].concat();
    for reader in [None, Some("csv"), Some("arrow"), Some("edge_list")] {
        let error = open_as(reader, "stream.arrow", source(stream.clone()), &Options::default()).unwrap_err();
        assert!(
            error.reason.contains("stream of Arrow IPC") && error.help.contains("write_feather") && !error.is_damage(),
            "{reader:?}: {error}"
        );
    }
}

#[test]
fn the_voxels_of_a_pair_lead_to_their_header() {
    let error = open_as(None, "scan.IMG", source(vec![7; 4000]), &Options::default()).unwrap_err();
    assert!(error.reason.contains("voxels of a pair") && error.help.contains(".hdr"), "{error}");
    let error = open_as(None, "scan.bin", source([0x9c, 1].repeat(2000)), &Options::default()).unwrap_err();
    assert!(error.reason.contains("no format is known"), "{error}");
}
