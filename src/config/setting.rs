//! A row of the table of settings: the facts about a setting that are known without a
//! running server.
//!
//! # Invariants worth naming
//!
//! - A row is written once, in `config/table.rs` (those of the log in
//!   `cli/settings.rs`). The field of [`Config`], its setter and default, the flag, the
//!   variable, the key of the file, `--help`, `--print-config`, the check of the
//!   range and `docs/options.md` are all made from it.
//! - A [`Kind`] has accessors of the kind's own type, so reading and showing a
//!   setting cannot meet a value of another kind.
//! - Nothing here reads text; `cli/value.rs` does that.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::range::Range;
use super::{Config, Endpoint, show_bytes, show_time};

/// One row, about a field of `C`.
pub(crate) struct Setting<C: 'static = Config> {
    /// The facts about it that do not depend on its type.
    pub about: About,
    /// The kind of value it has, and how that is reached.
    pub kind: Kind<C>,
    /// A further condition, which gives one sentence about the value where it does not
    /// hold. It is checked after every range.
    pub relation: Option<Relation<C>>,
    /// Makes the second's value that of the first.
    pub copy: fn(&C, &mut C),
}

/// A condition between settings, which gives one sentence where it does not hold.
pub(crate) type Relation<C> = fn(&C) -> Result<(), String>;

/// How a number, a size or a time is written.
type Show = fn(u64) -> String;

/// The facts about a setting that do not depend on its type.
#[derive(Debug)]
pub(crate) struct About {
    /// Its key in the file. The flag has dashes for its underscores, and the
    /// variable capitals.
    pub key: &'static str,
    /// The heading it stands under in `--help`.
    pub group: &'static str,
    /// Its description, in lines as in a documentation comment. The first paragraph is
    /// the help of the flag.
    pub docs: &'static [&'static str],
    /// Its default in words, where the value of this host says less.
    pub default: Option<&'static str>,
    /// Whether a running server takes another value.
    pub reload: Reload,
}

impl About {
    /// Its description, in one paragraph of plain text without the full stop.
    pub(crate) fn help(&self) -> String {
        let lines = self.docs.iter().map(|line| line.trim());
        let first: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        first.join(" ").trim_end_matches('.').replace('`', "")
    }

    /// All of it in one line.
    pub(crate) fn sentences(&self) -> String {
        let lines: Vec<_> = self.docs.iter().map(|line| line.trim()).collect();
        let paragraphs = lines.split(|line| line.is_empty());
        let paragraphs: Vec<_> = paragraphs.map(|lines| lines.join(" ")).collect();
        paragraphs.join(" ")
    }
}

/// When another value of a setting counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    /// From the next SIGHUP on.
    Live,
    /// In the next process.
    Restart,
}

/// The kind of value a setting has: how it is written, and which values are allowed.
pub(crate) enum Kind<C: 'static> {
    /// A number of things.
    Count(Lens<C, u64>, Range),
    /// A number of bytes.
    Size(Lens<C, u64>, Range),
    /// A length of time, with its unit.
    Time(Lens<C, Duration>, Range),
    /// A length of time, in microseconds where it has no unit.
    Microseconds(Lens<C, Duration>, Range),
    /// One of a few words.
    Choice(Lens<C, String>, &'static [&'static str]),
    /// On or off.
    Switch(Lens<C, bool>),
    /// Addresses with ports.
    Addresses(Lens<C, Vec<SocketAddr>>),
    /// An address with a port, or none.
    AddressOrOff(Lens<C, Option<SocketAddr>>),
    /// A file, or none.
    FileOrOff(Lens<C, Option<PathBuf>>),
    /// Cores by their numbers; none for all of them.
    Cpus(Lens<C, Vec<usize>>),
    /// Origins; none for any.
    Origins(Lens<C, Vec<String>>),
    /// Absolute paths.
    Paths(Lens<C, Vec<String>>),
    /// Networks, or addresses as networks of one.
    Networks(Lens<C, Vec<IpNet>>),
}

/// How a field of `C` is read and written, as a `T`.
pub(crate) struct Lens<C: 'static, T> {
    /// The value there is.
    pub of: fn(&C) -> T,
    /// Puts another one there.
    pub put: fn(&mut C, T) -> Result<(), String>,
}

/// A field that a setting of type `T` stands in.
pub(crate) trait Field<T>: Sized {
    /// The field's value as the setting's.
    fn to_setting(&self) -> T;

    /// The field's value for the setting's.
    ///
    /// # Errors
    /// A sentence that says what is allowed, where the value is none of it. Ranges
    /// are not checked here.
    fn from_setting(value: T) -> Result<Self, String>;
}

impl<T: Clone> Field<T> for T {
    fn to_setting(&self) -> T {
        self.clone()
    }

    fn from_setting(value: T) -> Result<Self, String> {
        Ok(value)
    }
}

/// A value that does not fit is out of range and will be refused as such.
macro_rules! number_fields {
    ($($number:ty),+) => {
        $(impl Field<u64> for $number {
            fn to_setting(&self) -> u64 {
                (*self).try_into().unwrap_or(u64::MAX)
            }

            fn from_setting(value: u64) -> Result<Self, String> {
                Ok(value.try_into().unwrap_or(<$number>::MAX))
            }
        })+
    };
}

number_fields!(usize, u32, u8);

impl Field<Vec<SocketAddr>> for Vec<Endpoint> {
    fn to_setting(&self) -> Vec<SocketAddr> {
        self.iter().map(|endpoint| endpoint.address).collect()
    }

    fn from_setting(value: Vec<SocketAddr>) -> Result<Self, String> {
        Ok(value.into_iter().map(Endpoint::plain).collect())
    }
}

impl<C> Kind<C> {
    /// The allowed values, where they are a range.
    pub(crate) fn range(&self) -> Option<String> {
        let (range, show) = self.limits()?;
        Some(range.show(show))
    }

    /// Checks the value's range.
    ///
    /// # Errors
    /// A sentence about the value and what is allowed.
    pub(crate) fn check(&self, settings: &C) -> Result<(), String> {
        let value = match self {
            Kind::Count(field, _) | Kind::Size(field, _) => (field.of)(settings),
            Kind::Time(field, _) | Kind::Microseconds(field, _) => nanos((field.of)(settings)),
            _ => return Ok(()),
        };
        let Some((range, show)) = self.limits() else {
            return Ok(());
        };
        if range.holds(value) {
            return Ok(());
        }
        Err(format!(
            "{} is out of range; allowed: {}",
            show(value),
            range.show(show)
        ))
    }

    /// The range, and how a number in it is shown.
    fn limits(&self) -> Option<(&Range, Show)> {
        match self {
            Kind::Count(_, range) => Some((range, |things| things.to_string())),
            Kind::Size(_, range) => Some((range, show_bytes)),
            Kind::Time(_, range) | Kind::Microseconds(_, range) => {
                Some((range, |nanos| show_time(Duration::from_nanos(nanos))))
            }
            _ => None,
        }
    }

    /// Whether it takes several values.
    pub(crate) fn is_list(&self) -> bool {
        matches!(
            self,
            Kind::Addresses(_)
                | Kind::Cpus(_)
                | Kind::Origins(_)
                | Kind::Paths(_)
                | Kind::Networks(_)
        )
    }
}

/// A time as a range counts it; a value that does not fit is far out of every range.
fn nanos(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}

/// Makes one row about a field of a struct:
///
/// `setting!(Config, "Limits", [" What it is."], max_sessions, Count(from(1, 9)), Restart)`
macro_rules! setting {
    ($of:ty, $group:literal, [$($doc:literal),*], $field:ident $(as $key:literal)?,
     $kind:ident $(($($argument:expr),+))?, $reload:ident
     $(, default $default:literal)? $(, relation $relation:path)?) => {
        $crate::config::setting::Setting::<$of> {
            about: $crate::config::setting::About {
                key: $crate::config::setting::first!($($key,)? stringify!($field)),
                group: $group,
                docs: &[$($doc),*],
                default: $crate::config::setting::first!($(Some($default),)? None),
                reload: $crate::config::setting::Reload::$reload,
            },
            kind: $crate::config::setting::Kind::$kind(
                $crate::config::setting::Lens {
                    of: |settings| $crate::config::setting::Field::to_setting(&settings.$field),
                    put: |settings, value| {
                        settings.$field = $crate::config::setting::Field::from_setting(value)?;
                        Ok(())
                    },
                },
                $($($argument),+)?
            ),
            relation: $crate::config::setting::first!($(Some($relation),)? None),
            copy: |from, to| to.$field = from.$field.clone(),
        }
    };
}

/// Makes the function that sets a field, by the kind of the setting.
macro_rules! setter {
    ($(#[doc = $doc:literal])+ $field:ident: $type:ty, Addresses) => {
        $crate::config::setting::setter!(@ $(#[doc = $doc])+ $field: impl IntoIterator<Item = $crate::config::Endpoint>,
            $field.into_iter().collect());
    };
    ($(#[doc = $doc:literal])+ $field:ident: $type:ty, AddressOrOff) => {
        $crate::config::setting::setter!(@ $(#[doc = $doc])+ $field: std::net::SocketAddr, Some($field));
    };
    ($(#[doc = $doc:literal])+ $field:ident: $type:ty, Cpus) => {
        $crate::config::setting::setter!(@ $(#[doc = $doc])+ $field: impl IntoIterator<Item = usize>,
            $field.into_iter().collect());
    };
    ($(#[doc = $doc:literal])+ $field:ident: $type:ty, Origins) => {
        $crate::config::setting::setter!(@ $(#[doc = $doc])+ $field: impl IntoIterator<Item = impl Into<String>>,
            $field.into_iter().map(Into::into).collect());
    };
    ($(#[doc = $doc:literal])+ $field:ident: $type:ty, Networks) => {
        $crate::config::setting::setter!(@ $(#[doc = $doc])+ $field: impl IntoIterator<Item = ipnet::IpNet>,
            $field.into_iter().collect());
    };
    ($(#[doc = $doc:literal])+ $field:ident: $type:ty, $kind:ident) => {
        $crate::config::setting::setter!(@ $(#[doc = $doc])+ $field: $type, $field);
    };
    (@ $(#[doc = $doc:literal])+ $field:ident: $given:ty, $value:expr) => {
        $(#[doc = $doc])+
        #[must_use]
        pub fn $field(mut self, $field: $given) -> Self {
            self.$field = $value;
            self
        }
    };
}

/// The first of several expressions.
macro_rules! first {
    ($first:expr $(, $more:expr)*) => {
        $first
    };
}

/// Makes a struct of settings, its defaults, and the table of its rows.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident, $table:ident;

        $($group:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $value:expr;
                    $kind:ident $(($($argument:expr),+))?, $reload:ident
                    $(, key $key:literal)?
                    $(, default $default:literal)?
                    $(, relation $relation:path)?
                    $(, program $program:expr)?;
            )+
        })+

        also {
            $($(#[doc = $also_doc:literal])+ $also:ident: $also_type:ty = $also_value:expr;)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($($(#[doc = $doc])+ pub(crate) $field: $type,)+)+
            $($(#[doc = $also_doc])+ pub(crate) $also: $also_type,)+
        }

        impl $name {
            $($($crate::config::setting::setter!($(#[doc = $doc])+ $field: $type, $kind);)+)+

            /// The settings that the program begins with where nothing was typed.
            #[cfg(feature = "cli")]
            pub(crate) fn of_program() -> Self {
                let mut settings = $name::default();
                $($($(settings.$field = $program;)?)+)+
                settings
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name {
                    $($($field: $value,)+)+
                    $($also: $also_value,)+
                }
            }
        }

        /// The rows, in the order of `--help`.
        pub(crate) static $table: &[$crate::config::setting::Setting<$name>] = &[
            $($($crate::config::setting::setting!(
                $name, $group, [$($doc),+], $field $(as $key)?,
                $kind $(($($argument),+))?, $reload
                $(, default $default)? $(, relation $relation)?
            ),)+)+
        ];
    };
}

pub(crate) use {first, setter, setting, settings};
