//! The registration: a check with its options.

#[cfg(feature = "serde")]
use std::collections::BTreeMap;
use std::{fmt, sync::Arc, time::Duration};

#[cfg(feature = "serde")]
use crate::check::{SHARED, error::InvalidCheck, setting::Setting};
use crate::{
    check::{
        Check,
        options::{Joining, Options, option_table},
    },
    model::status::{Impact, Kind},
};

/// A check with its options, for [`Builder::check`](crate::Builder::check) or
/// [`Health::insert`](crate::Health::insert).
///
/// Every [`Check`] converts into a registration. [`CheckExt`] gives every check the same methods, so a chain of methods
/// can start with the check itself. Clones share the check.
#[derive(Clone)]
#[must_use = "a registration does nothing until it is given to Builder::check or Health::insert"]
pub struct Registration {
    pub(crate) check: Arc<dyn Check>,
    pub(crate) options: Options,
    /// The options as set in the code, kept once settings and defaults change `options`.
    #[cfg(feature = "serde")]
    pub(crate) code: Option<Arc<Options>>,
    /// The settings that have been applied to the options inside the check.
    #[cfg(feature = "serde")]
    pub(crate) own_settings: BTreeMap<String, Setting>,
}

impl<C: Check> From<C> for Registration {
    fn from(check: C) -> Self {
        let options = Options::of(&check);
        Self {
            check: Arc::new(check),
            options,
            #[cfg(feature = "serde")]
            code: None,
            #[cfg(feature = "serde")]
            own_settings: BTreeMap::new(),
        }
    }
}

#[cfg(feature = "serde")]
impl Registration {
    /// Keeps a copy of the options as set in the code, before settings and defaults change them. A later call restores
    /// that copy.
    pub(crate) fn keep_code(&mut self) {
        match &self.code {
            Some(code) => {
                self.options = (**code).clone();
                self.options.proves = self.check.proves();
            }
            None => self.code = Some(Arc::new(self.options.clone())),
        }
    }

    /// Returns the names of all settings: first the options that every check has, then the check's own options.
    pub(crate) fn settings(&self) -> Vec<&'static str> {
        let mut names = Options::SETTINGS.to_vec();
        names.extend(self.check.settings());
        names
    }

    /// Sets an option by the name of its setting. Returns `false` if no setting has this name.
    ///
    /// # Errors
    ///
    /// Returns an error if the option does not accept the value, or if the check is shared and so cannot be changed.
    pub(crate) fn set(&mut self, name: &str, value: &Setting) -> Result<bool, InvalidCheck> {
        if self.options.set(name, value)? {
            return Ok(true);
        }
        if !self.check.settings().contains(&name) {
            return Ok(false);
        }
        let check = Arc::get_mut(&mut self.check).ok_or_else(|| InvalidCheck::new(SHARED))?;
        let is_known = check.apply_setting(name, value)?;
        if is_known {
            self.own_settings.insert(name.to_owned(), value.clone());
        }
        // What a healthy result proves can depend on an option.
        self.options.proves = check.proves();
        Ok(is_known)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Generates the methods of every option, for [`Registration`] and for [`CheckExt`].
macro_rules! methods {
    (
        durations { $($(#[$duration_doc:meta])+ $duration:ident($length:ident);)+ }
        counts { $($(#[$count_doc:meta])+ $count:ident($number:ident);)+ }
        flags { $($(#[$flag_doc:meta])+ $flag:ident;)+ }
        probes { $($probe:ident { $($(#[$join_doc:meta])+ $join:ident => $way:ident;)+ })+ }
        lists { $($(#[$list_doc:meta])+ $list:ident => $add:ident($word:ident);)+ }
        methods { $($(#[$method_doc:meta])+ $method:ident($options:ident) $body:block)+ }
        settings { $($settings:tt)* }
    ) => {
        impl Registration {
            $($(#[$duration_doc])+
            pub fn $duration(mut self, $length: Duration) -> Self {
                self.options.$duration = Some($length);
                self
            })+

            $($(#[$count_doc])+
            pub fn $count(mut self, $number: u32) -> Self {
                self.options.$count = Some($number);
                self
            })+

            $($(#[$flag_doc])+
            pub fn $flag(mut self) -> Self {
                self.options.$flag = true;
                self
            })+

            $($($(#[$join_doc])+
            pub fn $join(mut self) -> Self {
                self.options.$probe = Some(Joining::$way);
                self
            })+)+

            $($(#[$list_doc])+
            pub fn $add(mut self, $word: impl Into<String>) -> Self {
                self.options.$list.push($word.into());
                self
            })+

            $($(#[$method_doc])+
            pub fn $method(mut self) -> Self {
                let $options = &mut self.options;
                $body
                self
            })+
        }

        /// The options of a registration as methods of every [`Check`]. Each method turns the check into a
        /// [`Registration`]. Every duration must be within 1 ms to 366 days; other durations are refused when the check
        /// is registered.
        pub trait CheckExt: Check + Sized {
            $($(#[$duration_doc])+
            fn $duration(self, $length: Duration) -> Registration {
                Registration::from(self).$duration($length)
            })+

            $($(#[$count_doc])+
            fn $count(self, $number: u32) -> Registration {
                Registration::from(self).$count($number)
            })+

            $($(#[$flag_doc])+
            fn $flag(self) -> Registration {
                Registration::from(self).$flag()
            })+

            $($($(#[$join_doc])+
            fn $join(self) -> Registration {
                Registration::from(self).$join()
            })+)+

            $($(#[$list_doc])+
            fn $add(self, $word: impl Into<String>) -> Registration {
                Registration::from(self).$add($word)
            })+

            $($(#[$method_doc])+
            fn $method(self) -> Registration {
                Registration::from(self).$method()
            })+
        }
    };
}

option_table!(methods);

impl<C: Check> CheckExt for C {}
