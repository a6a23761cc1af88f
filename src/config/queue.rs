//! `[[queue]]` and `[[agent]]`: who waits for whom.

use std::time::Duration;

use super::fields::Fields;
use super::report::Problems;

/// All queues and agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// In the order of the file.
    pub queues: Vec<QueueRules>,
    /// Names and skills.
    pub agents: Vec<(String, Vec<String>)>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRules {
    /// Its name.
    pub name: String,
    /// The `[[application]]` whose callers wait here; `None`: only those that overflow.
    pub application: Option<String>,
    /// The prompt that they hear; `None`: the hold music.
    pub music: Option<String>,
    /// The prompt that an agent alone hears before it talks.
    pub whisper: Option<String>,
    /// Who serves it; empty: everybody with the skills.
    pub agents: Vec<String>,
    /// All of these.
    pub skills: Vec<String>,
    /// How long an agent rings.
    pub ring: Duration,
    /// How long a caller waits at most; `None`: for ever.
    pub total: Option<Duration>,
    /// After each call of an agent.
    pub wrap_up: Duration,
    /// Callers at most.
    pub most: usize,
    /// Another queue's name, or an address; `None`: hang up.
    pub overflow: Option<String>,
}

pub(super) fn queues(file: &mut Fields<'_>, problems: &mut Problems) -> Queues {
    let mut queues = Queues::default();
    for mut fields in file.tables("agent", "[[agent]]", problems) {
        let name = fields.required("name", "\"agent1\"", problems);
        let skills = texts(&mut fields, "skills", problems);
        fields.finish(problems);
        queues.agents.extend(name.map(|name| (name.value.to_owned(), skills)));
    }
    for fields in file.tables("queue", "[[queue]]", problems) {
        queues.queues.extend(queue(fields, problems));
    }
    let known: Vec<String> = queues.queues.iter().map(|queue| queue.name.clone()).collect();
    for queue in &queues.queues {
        if let Some(overflow) = &queue.overflow
            && !overflow.contains(':')
            && !known.contains(overflow)
        {
            let what = format!("queue `{}` overflows to `{overflow}`, which is no queue", queue.name);
            problems.add(file.span.clone(), what, "write another queue's name, or sip:user@host");
        }
    }
    queues
}

fn queue(mut fields: Fields<'_>, problems: &mut Problems) -> Option<QueueRules> {
    let name = fields.required("name", "\"sales\"", problems);
    let mut text = |key| fields.text(key, problems).map(|found| found.value.to_owned());
    let application = text("application");
    let music = text("music");
    let whisper = text("whisper");
    let overflow = text("overflow").filter(|overflow| overflow != "hang_up");
    let agents = texts(&mut fields, "agents", problems);
    let skills = texts(&mut fields, "skills", problems);
    let ring = fields.number("ring_s", 1..=600, problems);
    let total = fields
        .number("total_s", 0..=86_400, problems)
        .filter(|seconds| *seconds > 0);
    let wrap_up = fields.number("wrap_up_s", 0..=3_600, problems);
    let most = fields.number("most", 1..=10_000, problems);
    fields.finish(problems);
    Some(QueueRules {
        name: name?.value.to_owned(),
        application,
        music,
        whisper,
        agents,
        skills,
        ring: Duration::from_secs(ring.unwrap_or(20)),
        total: total.map(Duration::from_secs),
        wrap_up: Duration::from_secs(wrap_up.unwrap_or(0)),
        most: most.and_then(|most| usize::try_from(most).ok()).unwrap_or(1_000),
        overflow,
    })
}

fn texts(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Vec<String> {
    let found = fields.texts(key, problems);
    found.into_iter().map(|text| text.value.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const EDGE: &str = "[[listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:5060\"\n[registrar]\nopen = true\n";

    #[test]
    fn a_queue_has_a_name_agents_and_an_overflow_that_exists() {
        let read = |text: &str| Config::read("edge.toml", &format!("{EDGE}{text}"));
        let text = "[[agent]]\nname = \"ann\"\nskills = [\"french\"]\n[[queue]]\nname = \"sales\"\napplication = \"sales\"\n\
                    skills = [\"french\"]\noverflow = \"all\"\n[[queue]]\nname = \"all\"\noverflow = \"hang_up\"\n";
        let queues = read(text).unwrap().queues;
        assert_eq!(queues.agents, [("ann".to_owned(), vec!["french".to_owned()])]);
        assert_eq!(queues.queues[0].overflow.as_deref(), Some("all"));
        assert_eq!(
            (queues.queues[1].overflow.as_deref(), queues.queues[1].ring.as_secs()),
            (None, 20)
        );
        let report = read("[[queue]]\nname = \"sales\"\noverflow = \"nobody\"\n")
            .unwrap_err()
            .to_string();
        assert!(report.contains("which is no queue"), "{report}");
    }
}
