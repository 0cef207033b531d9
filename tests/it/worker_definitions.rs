//! `worker schema`, `new` and `add`: definitions made and checked before anything runs.

use fs_err as fs;
use serde_json::{Value, json};

use crate::harness::binaries::workspace;
use crate::harness::sandbox::Sandbox;

#[test]
fn the_schema_is_printed_as_it_is_committed() {
    let sandbox = Sandbox::empty();
    let committed = fs::read_to_string(workspace().join("workers/.schema.json")).unwrap();
    let printed = sandbox.lattice(["worker", "schema"]).run().ok().silent();
    assert!(printed.stdout == committed);
    let data = sandbox.lattice(["worker", "schema", "--json"]).run().ok().data();
    assert_eq!(data, serde_json::from_str::<Value>(&committed).unwrap());
    assert_eq!(data["properties"]["engine"]["default"], json!("script"));
}
