pub fn scenario() -> schemars::Schema {
    schemars::json_schema!({})
}
pub fn config() -> schemars::Schema {
    schemars::json_schema!({})
}
pub fn result() -> schemars::Schema {
    schemars::json_schema!({})
}
pub fn text(_: &schemars::Schema) -> String {
    String::new()
}
