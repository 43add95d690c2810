//! From YAML to items: which kind each is, and the small kinds themselves.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Config,
    collect::Collector,
    decode::Fields,
    item::{List, Macro, Order, PluginVersion},
    read_rule::{self, Form},
    report::{ErrorCode, Failure, Report, Trail, WarningCode},
    script::Script,
    source::File,
    version::Version,
    yaml::{self, Node},
};
use crate::condition::{is_bare, is_identifier};

pub(super) const APPEND_IS_DEPRECATED: &str = "'append' key is deprecated. Add an 'append' entry (e.g. \
     'condition: append') under 'override' instead.";

pub(super) const APPEND_AND_OVERRIDE: &str = "Keys 'override' and 'append: true' cannot be used together. \
     Add an 'append' entry (e.g. 'condition: append') under 'override' instead.";

/// What reading a file needs and fills.
pub(super) struct Reader<'a> {
    pub(super) config: &'a Config,
    pub(super) collector: &'a mut Collector,
    pub(super) report: &'a mut Report,
}

impl Reader<'_> {
    /// Reads the items of a file into the collector.
    pub(super) fn read(&mut self, file: &Arc<File>) -> Result<(), Failure> {
        let trail = Trail::new(file);
        let documents = yaml::documents(file).map_err(|error| {
            Failure::new(ErrorCode::YamlParse, error.message, &trail.to("value for", "", error.offset))
        })?;
        for document in documents.iter().filter(|document| !document.is_null()) {
            if document.scalar().is_some() {
                return Err(Failure::shape("Rules content is not yaml", &trail));
            }
            let items = document
                .sequence()
                .ok_or_else(|| Failure::shape("Rules content is not yaml array of objects", &trail))?;
            for item in items.iter().filter(|item| !item.is_null()) {
                self.item(item, &trail)?;
            }
        }
        Ok(())
    }

    fn item(&mut self, node: &Node, parent: &Trail) -> Result<(), Failure> {
        let content = parent.to("rules content item", "", node.offset);
        if node.mapping().is_none() {
            let message = "Unexpected element type. Each element should be a yaml associative array.";
            return Err(Failure::shape(message, &content));
        }
        if node.get("required_engine_version").is_some() {
            self.required_engine_version(node, parent)
        } else if node.get("required_plugin_versions").is_some() {
            self.required_plugin_versions(node, parent)
        } else if node.get("list").is_some() {
            self.list(node, parent)
        } else if node.get("macro").is_some() {
            self.macro_item(node, parent)
        } else if node.get("rule").is_some() {
            read_rule::read(self, node, parent, Form::Falco)
        } else if node.get(Form::Kestrel.key()).is_some() {
            read_rule::read(self, node, parent, Form::Kestrel)
        } else {
            self.report.warn(WarningCode::UnknownItem, "Unknown top level item", &content);
            Ok(())
        }
    }

    /// Warns of keys that an item does not have.
    pub(super) fn warn_unknown_keys(&mut self, node: &Node, known: &[&str], trail: &Trail) {
        for (key, _) in node.mapping().unwrap_or_default() {
            if self.report.is_full() {
                return;
            }
            let name = key.scalar().map_or("", |scalar| scalar.value.as_str());
            if !known.contains(&name) {
                let at = trail.to("value for", name, key.offset);
                self.report.warn(WarningCode::UnknownKey, format!("Unknown key '{name}'"), &at);
            }
        }
    }

    fn required_engine_version(&mut self, node: &Node, parent: &Trail) -> Result<(), Failure> {
        let trail = parent.to("required_engine_version", "", node.offset);
        let fields = Fields { node, trail: &trail };
        self.warn_unknown_keys(node, &["required_engine_version"], &trail);
        let text = fields.text("required_engine_version")?;
        let version = match text.parse() {
            Ok(minor) => Version { major: 0, minor, patch: 0 },
            Err(_) => text.parse().map_err(|_| {
                let message = format!(
                    "Unable to parse engine version '{text}' as a semver string. Expected \"x.y.z\" semver format."
                );
                Failure::shape(message, &fields.trail_to("required_engine_version"))
            })?,
        };
        self.collector.require_engine(version, &fields.trail_to("required_engine_version"))
    }

    fn required_plugin_versions(&mut self, node: &Node, parent: &Trail) -> Result<(), Failure> {
        let trail = Fields { node, trail: parent }.trail_as(
            "required plugin versions",
            "",
            "required_plugin_versions",
        );
        self.warn_unknown_keys(node, &["required_plugin_versions"], &trail);
        let plugins = node
            .get("required_plugin_versions")
            .and_then(Node::sequence)
            .ok_or_else(|| Failure::shape("Value of required_plugin_versions must be a sequence", &trail))?;
        for plugin in plugins {
            let at = trail.to("required plugin versions entry", "", plugin.offset);
            let mut alternatives = vec![plugin_version(plugin, "Plugin version must be a mapping", &at)?];
            if let Some(others) = plugin.get("alternatives") {
                let message = "Value of plugin version alternatives must be a sequence";
                for other in others.sequence().ok_or_else(|| Failure::shape(message, &at))? {
                    let at = at.to("required plugin versions alternative", "", other.offset);
                    alternatives.push(plugin_version(
                        other,
                        "Plugin version alternative must be a mapping",
                        &at,
                    )?);
                }
            }
            self.collector.require_plugin(alternatives, &at)?;
        }
        Ok(())
    }

    fn list(&mut self, node: &Node, parent: &Trail) -> Result<(), Failure> {
        let name = Fields { node, trail: &parent.to("list", "", node.offset) }.text("list")?;
        let trail = parent.to("list", &name, node.offset);
        let fields = Fields { node, trail: &trail };
        self.warn_unknown_keys(node, &["list", "items", "append", "override"], &trail);
        if !is_bare(&name) {
            let message = "List has an invalid name. List names should match a regular expression: [^()\"'[:space:]=,]+";
            self.report.warn(WarningCode::InvalidListName, message, &fields.trail_to("list"));
        }
        let list =
            List { name, items: fields.scalars("items")?, trail: trail.clone(), order: Order::default() };
        if self.is_append(&fields, "items")? {
            self.collector.append_list(list)
        } else {
            self.collector.define_list(list);
            Ok(())
        }
    }

    fn macro_item(&mut self, node: &Node, parent: &Trail) -> Result<(), Failure> {
        let name = Fields { node, trail: &parent.to("macro", "", node.offset) }.text("macro")?;
        let trail = parent.to("macro", &name, node.offset);
        let fields = Fields { node, trail: &trail };
        self.warn_unknown_keys(node, &["macro", "condition", "append", "override"], &trail);
        if !is_identifier(&name) {
            let message = "Macro has an invalid name. Macro names should match a regular expression: [a-zA-Z]+[a-zA-Z0-9_]*";
            self.report.warn(WarningCode::InvalidMacroName, message, &fields.trail_to("macro"));
        }
        let defined = Macro {
            name,
            condition: Script::of(fields.scalar("condition")?),
            condition_trail: fields.trail_as("macro condition", "", "condition"),
            trail: trail.clone(),
            order: Order::default(),
        };
        if self.is_append(&fields, "condition")? {
            self.collector.append_macro(defined)
        } else {
            self.collector.define_macro(defined);
            Ok(())
        }
    }

    /// Whether a list or macro, which has only one thing to change, appends.
    fn is_append(&mut self, fields: &Fields<'_>, key: &'static str) -> Result<bool, Failure> {
        let append = self.append_key(fields)?;
        let overrides = overrides(fields, &[key], &[key])?;
        if append && !overrides.is_empty() {
            return Err(Failure::shape(APPEND_AND_OVERRIDE, fields.trail));
        }
        Ok(append || overrides.append.contains(key))
    }

    /// The value of the deprecated `append`.
    pub(super) fn append_key(&mut self, fields: &Fields<'_>) -> Result<bool, Failure> {
        let append = fields.truth("append")?.unwrap_or(false);
        if append {
            let trail = fields.trail_to("append");
            self.report.warn(WarningCode::DeprecatedItem, APPEND_IS_DEPRECATED, &trail);
        }
        Ok(append)
    }
}

fn plugin_version(node: &Node, shape: &str, trail: &Trail) -> Result<PluginVersion, Failure> {
    if node.mapping().is_none() {
        return Err(Failure::shape(shape, trail));
    }
    let fields = Fields { node, trail };
    Ok(PluginVersion { name: fields.text("name")?, version: fields.text("version")? })
}

/// What `override` says of each key.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub(super) append: BTreeSet<String>,
    pub(super) replace: BTreeSet<String>,
}

impl Overrides {
    pub(super) fn is_empty(&self) -> bool {
        self.append.is_empty() && self.replace.is_empty()
    }
}

/// Reads `override`, of an item in which these keys can be appended to and those be replaced.
pub(super) fn overrides(
    fields: &Fields<'_>,
    append: &[&str],
    replace: &[&str],
) -> Result<Overrides, Failure> {
    let mut overrides = Overrides::default();
    let Some(node) = fields.node.get("override").filter(|node| !node.is_null()) else { return Ok(overrides) };
    let trail = fields.trail_as("overrides", "", "override");
    let entries =
        node.mapping().ok_or_else(|| Failure::shape("Value of 'override' must be a mapping", &trail))?;
    for (key, operation) in entries {
        let (Some(key_text), Some(operation_text)) = (key.scalar(), operation.scalar()) else {
            return Err(Failure::shape(
                "Value is not a scalar value",
                &trail.to("overrides", "", key.offset),
            ));
        };
        let name = key_text.value.as_str();
        let at_key = trail.to("overrides", name, key.offset);
        let (is_append, is_replace) = (append.contains(&name), replace.contains(&name));
        match operation_text.value.as_str() {
            "append" if is_append => {
                overrides.append.insert(name.to_owned());
            }
            "append" => {
                let message = format!("Key '{name}' cannot be appended to, use 'replace' instead");
                return Err(Failure::shape(message, &at_key));
            }
            "replace" if is_replace => {
                overrides.replace.insert(name.to_owned());
            }
            "replace" => return Err(Failure::shape(format!("Key '{name}' cannot be replaced"), &at_key)),
            other => {
                let allowed: Vec<_> = [("append", is_append), ("replace", is_replace)]
                    .iter()
                    .filter(|a| a.1)
                    .map(|a| a.0)
                    .collect();
                let message = format!(
                    "Invalid override operation for key '{name}': '{other}'. Allowed values are: {}",
                    allowed.join(" ")
                );
                return Err(Failure::shape(message, &trail.to("value for", name, operation.offset)));
            }
        }
    }
    Ok(overrides)
}
