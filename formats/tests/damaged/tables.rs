//! Tables, workbooks and graphs. Damaged BIDS trees are those of the validator.

use super::bytes::{cut, find, swap};
use super::{Case, one, one_as};
use crate::small_files::zip;

pub fn cases() -> Vec<Case> {
    [text(), excel(), graphs()].into_iter().flatten().collect()
}

fn text() -> Vec<Case> {
    vec![
        one("a.csv", "a line with too many cells", b"a,b\n1,2\n3,4,5\n".to_vec()),
        one("a.csv", "a quote that never ends", b"a,b\n1,\"two\n3,4\n".to_vec()),
        one("a.csv", "nothing in it", Vec::new()),
        one("a.csv", "two columns of one name", b"a,a\n1,2\n".to_vec()),
        one("a.csv", "bytes that are no text", b"a,b\n1,\xff\xfe\n".to_vec()),
        one("a.bin", "zeros only", vec![0; 64]),
        one("a.bin", "nothing in it", Vec::new()),
        one("a.txt", "a text that says nothing of what it is", b"hello\n".to_vec()),
    ]
}

fn workbook(sheet: &str) -> Vec<u8> {
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let rels = |kind: &str, target: &str| {
        format!(
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"r1\" \
             Type=\"{relations}/{kind}\" Target=\"{target}\"/></Relationships>"
        )
    };
    let book = format!(
        "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"{relations}\"><sheets><sheet name=\"One\" \
         sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
    );
    let types = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>";
    let (root, own) = (rels("officeDocument", "xl/workbook.xml"), rels("worksheet", "worksheets/sheet1.xml"));
    let members: [(&str, &str); 5] = [
        ("[Content_Types].xml", types),
        ("_rels/.rels", &root),
        ("xl/workbook.xml", &book),
        ("xl/_rels/workbook.xml.rels", &own),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    zip(&members.map(|(name, text)| (name, text.as_bytes())), true)
}

fn excel() -> Vec<Case> {
    let begin = "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>";
    let sheet = |rows: &str| workbook(&format!("{begin}{rows}</sheetData></worksheet>"));
    let sound = sheet("<row r=\"1\"><c r=\"A1\"><v>1</v></c></row>");
    let padding = " ".repeat(64 << 20);
    vec![
        one("a.xlsx", "cut in a member", cut(&sound, 300)),
        one("a.xlsx", "cut in the directory", cut(&sound, sound.len() - 30)),
        one("a.xlsx", "a sheet that is cut", workbook(&format!("{begin}<row r=\"1\"><c r=\"A1\"><v>1"))),
        one("a.xlsx", "a bomb: 64 MB of blanks for a sheet", sheet(&padding)),
        one(
            "a.xlsx",
            "two cells 2^20 rows and 2^14 columns apart",
            sheet("<row r=\"1\"><c r=\"A1\"><v>1</v></c></row><row r=\"1048576\"><c r=\"XFD1048576\"><v>2</v></c></row>"),
        ),
        one("a.xlsx", "a cell in no column", sheet("<row r=\"1\"><c r=\"11\"><v>1</v></c></row>")),
        one("a.xlsx", "a workbook that is not there", {
            let types = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>";
            zip(&[("[Content_Types].xml", types.as_bytes()), ("xl/other.xml", b"<x/>")], true)
        }),
    ]
}

fn graphs() -> Vec<Case> {
    let gml = b"graph [ directed 1 node [ id 1 label \"a\" ] node [ id 2 ] edge [ source 1 target 2 value 3.5 ] ]".to_vec();
    let xml = b"<graphml><key id='k' for='node' attr.type='int'/><graph edgedefault='directed'><node id='a'><data key='k'>3</data></node><node id='b'/>\
                <edge source='a' target='b'/></graph></graphml>"
        .to_vec();
    let marked = |damage: &str, old: &str, new: &str| one("a.graphml", damage, swap(&xml, old.as_bytes(), new.as_bytes()));
    let listed = |damage: &str, old: &str, new: &str| one("a.gml", damage, swap(&gml, old.as_bytes(), new.as_bytes()));
    vec![
        one("a.gml", "cut in an edge", cut(&gml, find(&gml, b"target"))),
        listed("an edge to a node that is not there", "target 2", "target 9"),
        listed("two nodes of one id", "id 2", "id 1"),
        listed("a node that has no id", "id 2", "name 2"),
        listed("a text that never ends", "\"a\"", "\"a"),
        one("a.gml", "lists 100000 deep", format!("graph [ {} {} ]", "x [ ".repeat(100_000), "] ".repeat(100_000)).into_bytes()),
        one("a.graphml", "cut in a node", cut(&xml, find(&xml, b"<data"))),
        marked("an edge to a node that is not there", "target='b'", "target='z'"),
        marked("data of a key that is not there", "key='k'>3", "key='q'>3"),
        marked("a word where a number should stand", ">3<", ">three<"),
        marked("an entity that is none of XML's", ">3<", ">&a;<"),
        marked("an end that was not begun", "</graph>", "</node></graph>"),
        one_as("edge_list", "a.txt", "an edge of one node", b"0 1 2.5\n1\n".to_vec()),
        one_as("edge_list", "a.txt", "a weight in one line only", b"0 1 2.5\n1 2\n".to_vec()),
    ]
}
