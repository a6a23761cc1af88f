//! A participant's place in a hub as JSON.

use serde::Deserialize;
use utoipa::ToSchema;

use super::problem::Problem;
use crate::engine;

/// A participant's place in a hub. What is not said is as by default.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Role {
    /// Whom it hears and who hears it. Default: speaker.
    part: Option<Part>,
    /// With `coach`: the leg that hears it.
    #[schema(example = "leg-3-0")]
    of: Option<String>,
    /// It hears music, or nothing, and nobody hears it. Default: false.
    #[serde(default)]
    held: bool,
    /// What it hears while it is held or waits; an empty text: silence. Default: the configured hold music.
    #[schema(example = "sales")]
    music: Option<String>,
    /// Whether the hub may start with this one. Default: true.
    starts: Option<bool>,
    /// Whether the hub ends when this one leaves. Default: false.
    #[serde(default)]
    ends: bool,
    /// Whether its coming and going is heard. Default: never.
    beep: Option<Beep>,
    /// Your own name for it, unique in the hub.
    #[schema(example = "agent")]
    label: Option<String>,
}

/// Whom a participant hears and who hears it.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// Hears all and is heard by all.
    #[default]
    Speaker,
    /// Hears all and is heard by nobody.
    Muted,
    /// As muted; it neither counts as somebody nor beeps.
    Monitor,
    /// Hears all and is heard by one alone.
    Coach,
}

/// Whether a participant's coming and going is heard.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Beep {
    /// Neither.
    #[default]
    Never,
    /// Its coming.
    OnEnter,
    /// Its going.
    OnExit,
    /// Both.
    Always,
}

const LONGEST: usize = 200;

/// A text of a client's own; `field` names it.
pub(super) fn text(field: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.len() > LONGEST || text.chars().any(char::is_control) => {
            let what = format!("has control characters, or more than {LONGEST} octets");
            Err(Problem::invalid(field, what))
        }
        text => Ok(text),
    }
}

impl Role {
    /// What it means; `under` is where it stands in the body, with a dot at its end.
    pub(super) fn read(self, under: &str) -> Result<engine::Role, Problem> {
        let field = |name: &str| format!("{under}{name}");
        let of = self.of.as_deref().map(str::parse::<engine::LegHandle>).transpose();
        let of = of.map_err(|error| Problem::invalid(field("of"), error.to_string()))?;
        let part = match (self.part.unwrap_or_default(), of) {
            (Part::Speaker, None) => engine::Part::Speaker,
            (Part::Muted, None) => engine::Part::Muted,
            (Part::Monitor, None) => engine::Part::Monitor,
            (Part::Coach, Some(of)) => engine::Part::Coach { of },
            (Part::Coach, None) => {
                return Err(
                    Problem::invalid(field("of"), "a coach is heard by somebody").hint("name the leg that hears it")
                );
            }
            (Part::Speaker | Part::Muted | Part::Monitor, Some(_)) => {
                return Err(Problem::invalid(field("of"), "only a coach is heard by one alone"));
            }
        };
        Ok(engine::Role {
            part,
            held: self.held,
            music: text(&field("music"), self.music)?,
            starts: self.starts.unwrap_or(true),
            ends: self.ends,
            beep: match self.beep.unwrap_or_default() {
                Beep::Never => engine::Beep::Never,
                Beep::OnEnter => engine::Beep::OnEnter,
                Beep::OnExit => engine::Beep::OnExit,
                Beep::Always => engine::Beep::Always,
            },
            label: text(&field("label"), self.label)?,
        })
    }
}
