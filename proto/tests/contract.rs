//! Field numbers are forever: what is in `contract.txt` may be added to, never changed.

use std::fmt::Write;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Every message, field, enum and method, one a line.
fn contract() -> String {
    let files = FileDescriptorSet::decode(kestrel_proto::DESCRIPTORS).expect("the descriptors are whole");
    let mut text = String::new();
    for file in &files.file {
        writeln!(text, "# {}", file.name()).expect("the descriptors are whole");
        file.message_type.iter().for_each(|message| describe(message, &mut text));
        file.enum_type.iter().for_each(|values| enumerate(values, &mut text));
        for service in &file.service {
            for method in &service.method {
                let stream = |is: bool| if is { "stream " } else { "" };
                writeln!(
                    text,
                    "{}/{} {}{} -> {}{}",
                    service.name(),
                    method.name(),
                    stream(method.client_streaming()),
                    method.input_type(),
                    stream(method.server_streaming()),
                    method.output_type()
                )
                .expect("the descriptors are whole");
            }
        }
    }
    text
}

fn describe(message: &DescriptorProto, text: &mut String) {
    for field in &message.field {
        writeln!(text, "{}.{} = {} {}", message.name(), field.name(), field.number(), kind(message, field))
            .expect("the descriptors are whole");
    }
    assert!(message.nested_type.is_empty() && message.enum_type.is_empty(), "nesting is not used");
}

fn kind(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let name = match field.type_name() {
        "" => format!("{:?}", field.r#type()).to_lowercase(),
        name => name.trim_start_matches(".kestrel.v1.").to_owned(),
    };
    let label = match field.label() {
        prost_types::field_descriptor_proto::Label::Repeated => "repeated ",
        _ if field.proto3_optional() => "optional ",
        _ => "",
    };
    let oneof = field.oneof_index.filter(|_| !field.proto3_optional()).map_or_else(String::new, |index| {
        format!(
            " in {}",
            message.oneof_decl[usize::try_from(index).expect("the descriptors are whole")].name()
        )
    });
    format!("{label}{name}{oneof}")
}

fn enumerate(values: &EnumDescriptorProto, text: &mut String) {
    for value in &values.value {
        writeln!(text, "{}.{} = {}", values.name(), value.name(), value.number())
            .expect("the descriptors are whole");
    }
}

#[test]
fn the_contract_is_kept() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract.txt");
    let contract = contract();
    if std::env::var_os("KESTREL_WRITE_CONTRACT").is_some() {
        std::fs::write(path, &contract).expect("the descriptors are whole");
    }
    let kept = std::fs::read_to_string(path).expect("the descriptors are whole");
    for (line, kept) in contract.lines().zip(kept.lines()) {
        assert_eq!(line, kept, "after a deliberate addition run this test with KESTREL_WRITE_CONTRACT=1");
    }
    assert_eq!(contract.lines().count(), kept.lines().count(), "as above");
}

#[test]
fn a_number_is_used_once_in_a_message() {
    let contract = contract();
    let mut numbers: Vec<_> = contract
        .lines()
        .filter_map(|line| {
            let (field, rest) = line.split_once(" = ")?;
            Some((field.split_once('.')?.0.to_owned(), rest.split(' ').next()?.to_owned()))
        })
        .collect();
    let all = numbers.len();
    assert!(all > 200, "the contract has fields");
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), all);
}
