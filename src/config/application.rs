//! `[[application]]`: numbers whose calls belong to a client of the API.

use super::fields::Fields;
use super::parts::regular_expression;
use super::report::Problems;
use crate::engine::Application;

pub(super) fn applications(file: &mut Fields<'_>, problems: &mut Problems) -> Vec<Application> {
    let mut applications: Vec<Application> = Vec::new();
    for mut fields in file.tables("application", "[[application]]", problems) {
        let name = fields.required("name", "\"sales\"", problems);
        let pattern = fields.required("match", "'^\\+1555'", problems);
        let pattern = pattern.and_then(|pattern| regular_expression(&pattern, problems));
        if let (Some(name), Some(pattern)) = (name, pattern) {
            let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.value.is_empty() || !name.value.chars().all(good) {
                problems.add(
                    name.span,
                    "`name` is no name of an application",
                    "letters, digits and -_. as in \"sales\"",
                );
            } else {
                applications.push(Application {
                    name: name.value.to_owned(),
                    pattern,
                });
            }
        }
        fields.finish(problems);
    }
    applications
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const LISTEN: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";

    #[test]
    fn an_application_has_a_name_and_numbers() {
        let text = format!("{LISTEN}[[application]]\nname = \"sales\"\nmatch = '^\\+1555'\n");
        let config = Config::read("edge.toml", &text).unwrap();
        let settings = config.settings([0; 16], |_| None).unwrap();
        assert_eq!(
            settings.application("+15551234").map(|found| found.name.as_str()),
            Some("sales")
        );
        assert!(settings.application("+49301234").is_none());
    }

    #[test]
    fn what_cannot_be_an_application_is_named() {
        for (bad, wanted) in [
            ("name = \"sales\"\n", "needs `match`"),
            ("name = \"sales\"\nmatch = \"(\"\n", "no regular expression"),
            ("name = \"the sales\"\nmatch = \"1\"\n", "no name of an application"),
        ] {
            let report = Config::read("edge.toml", &format!("{LISTEN}[[application]]\n{bad}")).unwrap_err();
            assert!(report.to_string().contains(wanted), "{report}");
        }
    }
}
