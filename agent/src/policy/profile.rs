//! Which controls are on, and how much each matters: profiles, what they inherit, and what the file
//! says itself.
//!
//! A built-in profile asks for controls and leaves the severity to whoever says one. Everybody else
//! sets a control to off, or to on with a severity; `on` alone means the control's own. Who inherits may
//! set a control anew; where it does not, all that it inherits must agree.

use controls::{CONTROL_COUNT, CONTROLS, ControlId, Profile, Severity};
use settings::{ConfigError, Key, Spanned, check::Checker, near};

use super::raw::{Entries, RawProfile, RawSetting};

/// Most profiles that a file may define: they are followed one inside the other.
const CUSTOM: usize = 64;
/// Longest name of one.
const NAME_BYTES: usize = 63;

/// What is said of one control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    /// Nothing: it is not judged.
    Silent,
    /// A built-in profile asks for it.
    Asked,
    /// Not judged.
    Off,
    /// Judged, and a FAIL is so bad.
    On(Severity),
}

/// What is said of each control.
pub(super) type Stances = [Stance; CONTROL_COUNT];

impl Stance {
    /// Both at once, unless they contradict each other.
    fn and(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Silent, one) | (one, Self::Silent) => Some(one),
            (Self::Asked, Self::On(severity)) | (Self::On(severity), Self::Asked) => Some(Self::On(severity)),
            (one, another) => (one == another).then_some(one),
        }
    }

    /// The severity of a control that is judged.
    pub(super) const fn severity(self, control: ControlId) -> Option<Severity> {
        match self {
            Self::Silent | Self::Off => None,
            Self::Asked => Some(CONTROLS[control as usize].severity),
            Self::On(severity) => Some(severity),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Silent | Self::Off => "off",
            Self::Asked => "on",
            Self::On(severity) => severity.as_str(),
        }
    }
}

/// The profiles of a file.
pub(super) struct Profiles<'a> {
    at: Checker<'a>,
    custom: Vec<Custom>,
}

struct Custom {
    name: String,
    inherits: Vec<Spanned<String>>,
    own: Stances,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Untouched,
    /// On the way from the file to what is being followed.
    Open,
    Done(Stances),
}

impl<'a> Profiles<'a> {
    /// Takes the profiles that a file defines.
    pub(super) fn new(at: Checker<'a>, raw: Key<Entries<Spanned<RawProfile>>>) -> Result<Self, ConfigError> {
        let Some(raw) = raw else { return Ok(Self { at, custom: Vec::new() }) };
        let count = raw.value.0.len();
        if count > CUSTOM {
            let message = format!("expected at most {CUSTOM} profiles, got {count}");
            return Err(at.refuse("custom", &raw, message));
        }
        let mut custom = Vec::with_capacity(count);
        for (name, profile) in raw.value.0 {
            let refuse = |key: &str, message| Err(at.refuse(key, &profile, message));
            let key = format!("custom.{name}");
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(allowed) {
                return refuse(&key, format!("expected a name of 1 to {NAME_BYTES} of a-z, 0-9 and '-'"));
            }
            if Profile::from_name(&name).is_some() {
                return refuse(&key, format!("`{name}` is a built-in profile: take another name"));
            }
            let RawProfile { inherits, controls } = profile.value;
            let own = settings(at, &key, controls.unwrap_or_default())?;
            let inherits = inherits.unwrap_or_default();
            custom.push(Custom { name, inherits, own, state: State::Untouched });
        }
        Ok(Self { at, custom })
    }

    /// Follows each, used or not.
    pub(super) fn check(&mut self) -> Result<(), ConfigError> {
        (0..self.custom.len()).try_for_each(|index| self.follow(index).map(drop))
    }

    /// What the named profiles say together, and over them `own`.
    pub(super) fn inherit(
        &mut self,
        key: &str,
        names: &[Spanned<String>],
        own: &Stances,
    ) -> Result<Stances, ConfigError> {
        let mut stances = [Stance::Silent; CONTROL_COUNT];
        // Who said it, by the place in `names`.
        let mut from = [0; CONTROL_COUNT];
        for (index, name) in names.iter().enumerate() {
            let key = format!("{key}[{index}]");
            let inherited = self.named(&key, name)?;
            for (control, other) in inherited.into_iter().enumerate() {
                let before = stances[control];
                if own[control] != Stance::Silent {
                    continue;
                }
                let Some(both) = before.and(other) else {
                    let message = format!(
                        "`{}` has `{}` {}, and `{}` {}: decide in controls",
                        names.get(from[control]).map_or("", |name| &name.value),
                        CONTROLS[control].slug,
                        before.word(),
                        name.value,
                        other.word()
                    );
                    return Err(self.at.refuse(&key, name, message));
                };
                if both != before {
                    (stances[control], from[control]) = (both, index);
                }
            }
        }
        for (stance, own) in stances.iter_mut().zip(own) {
            if *own != Stance::Silent {
                *stance = *own;
            }
        }
        Ok(stances)
    }

    fn named(&mut self, key: &str, name: &Spanned<String>) -> Result<Stances, ConfigError> {
        if let Some(profile) = Profile::from_name(&name.value) {
            return Ok(std::array::from_fn(|index| {
                if profile.has(&CONTROLS[index]) { Stance::Asked } else { Stance::Silent }
            }));
        }
        let Some(index) = self.custom.iter().position(|custom| custom.name == name.value) else {
            let mut known: Vec<&str> = Profile::ALL.into_iter().map(Profile::as_str).collect();
            known.extend(self.custom.iter().map(|custom| custom.name.as_str()));
            return Err(self.at.refuse(key, name, unknown("profile", &name.value, &known)));
        };
        if matches!(self.custom[index].state, State::Open) {
            return Err(self.at.refuse(key, name, format!("`{}` inherits itself", name.value)));
        }
        self.follow(index)
    }

    fn follow(&mut self, index: usize) -> Result<Stances, ConfigError> {
        let custom = &mut self.custom[index];
        if let State::Done(stances) = custom.state {
            return Ok(stances);
        }
        custom.state = State::Open;
        let (key, own) = (format!("custom.{}.inherits", custom.name), custom.own);
        let inherits = std::mem::take(&mut custom.inherits);
        let stances = self.inherit(&key, &inherits, &own)?;
        self.custom[index].state = State::Done(stances);
        Ok(stances)
    }
}

/// What a mapping `controls` below `section` says.
pub(super) fn settings(
    at: Checker<'_>,
    section: &str,
    raw: Entries<Spanned<RawSetting>>,
) -> Result<Stances, ConfigError> {
    let mut stances = [Stance::Silent; CONTROL_COUNT];
    for (slug, setting) in raw.0 {
        let dot = if section.is_empty() { "" } else { "." };
        let key = format!("{section}{dot}controls.{slug}");
        let Some(control) = ControlId::from_slug(&slug) else {
            let known: Vec<_> = CONTROLS.iter().map(|control| control.slug).collect();
            return Err(at.refuse(&key, &setting, unknown("control", &slug, &known)));
        };
        stances[control as usize] = match &setting.value {
            RawSetting::Word(word) => match word.as_str() {
                "on" => Stance::On(control.control().severity),
                "off" => Stance::Off,
                _ => {
                    let message = format!("expected on, off or {{severity: …}}, got {word:?}");
                    return Err(at.refuse(&key, &setting, message));
                }
            },
            RawSetting::Severity(name) => match Severity::from_name(&name.value) {
                Some(severity) => Stance::On(severity),
                None => {
                    let message = format!("expected low, medium, high or critical, got {:?}", name.value);
                    return Err(at.refuse(&format!("{key}.severity"), name, message));
                }
            },
        };
    }
    Ok(stances)
}

/// That there is no such thing, and what may have been meant.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = near(name, known);
    let shown = name.escape_debug();
    if near.is_empty() {
        format!("no {what} `{shown}`")
    } else {
        format!("no {what} `{shown}`, did you mean {}?", near.join(" or "))
    }
}
