//! A JSON object whose members are taken one by one; what is left over is known by name.
//!
//! Decoders read with it, so that a member nobody took is never lost: it is carried as an extra or named to the caller.
//! Values are found, not built; the text stays where it is.

use std::borrow::Cow;
use std::fmt;

use ir::failure::Failure;
use ir::json::Json;

use super::{JsonError, Scanner};

/// More members than any object that is understood has. What is only carried (schemas, metadata) is not counted.
pub const MAX_MEMBERS: usize = 1_000;

/// An object of which members are taken.
#[derive(Debug)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a str)>,
    path: Path,
}

/// Where a value stands, for messages: `messages[2].content[0].type`. It is a plain value of a few words, because one is
/// made for every object of every event; below six steps it says no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path {
    steps: [Step; 6],
    length: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Member(&'static str),
    Element(u32),
}

impl Default for Step {
    fn default() -> Self {
        Self::Element(0)
    }
}

impl Path {
    /// Returns the path of a member.
    #[must_use]
    pub fn member(self, name: &'static str) -> Self {
        self.and(Step::Member(name))
    }

    /// Returns the path of an element.
    #[must_use]
    pub fn element(self, index: usize) -> Self {
        self.and(Step::Element(u32::try_from(index).unwrap_or(u32::MAX)))
    }

    fn and(mut self, step: Step) -> Self {
        if let Some(free) = self.steps.get_mut(usize::from(self.length)) {
            *free = step;
            self.length += 1;
        }
        self
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.length == 0 {
            return f.write_str("the body");
        }
        for (at, step) in self.steps.iter().take(usize::from(self.length)).enumerate() {
            match step {
                Step::Member(name) if at == 0 => f.write_str(name)?,
                Step::Member(name) => write!(f, ".{name}")?,
                Step::Element(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A value that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The text is not JSON.
    #[error("{0}")]
    Json(JsonError),
    /// A value of another type or form.
    #[error("`{path}` must be {expected}")]
    Form {
        /// Where.
        path: Path,
        /// What it must be, such as `a string`.
        expected: &'static str,
    },
    /// A member that must be there and is not.
    #[error("`{0}` is missing")]
    Missing(Path),
    /// A member that is there twice.
    #[error("`{name}` appears more than once in `{path}`")]
    Twice {
        /// The object.
        path: Path,
        /// The member.
        name: Box<str>,
    },
    /// More than [`MAX_MEMBERS`] members.
    #[error("`{0}` has too many members")]
    TooMany(Path),
}

impl From<Wrong> for Failure {
    /// Returns the 400 that a caller gets.
    fn from(wrong: Wrong) -> Self {
        let message = wrong.to_string();
        match wrong {
            Wrong::Json(_) => Self::invalid("", message),
            Wrong::Twice { name, .. } => Self::invalid(&name, message),
            Wrong::Form { path, .. } | Wrong::Missing(path) | Wrong::TooMany(path) => {
                Self::invalid(&path.to_string(), message)
            }
        }
    }
}

impl<'a> Object<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// When the text is not one JSON object, or a member is there twice.
    pub fn read(text: &'a str, path: Path) -> Result<Self, Wrong> {
        let mut scanner = Scanner::new(text.as_bytes(), 0);
        if scanner.peek().map_err(Wrong::Json)? != b'{' {
            return Err(Wrong::Form { path, expected: "an object" });
        }
        scanner.enter_object().map_err(Wrong::Json)?;
        let mut members: Vec<(Cow<'a, str>, &'a str)> = Vec::with_capacity(8);
        while let Some(member) = scanner.member(members.is_empty()).map_err(Wrong::Json)? {
            let name = text.get(member.name).unwrap_or_default();
            let name = if name.contains('\\') { unescaped(name) } else { Cow::Borrowed(name) };
            if members.iter().any(|(other, _)| *other == name) {
                return Err(Wrong::Twice { path, name: name.into() });
            }
            if members.len() == MAX_MEMBERS {
                return Err(Wrong::TooMany(path));
            }
            members.push((name, text.get(member.value).unwrap_or_default()));
        }
        scanner.end().map_err(Wrong::Json)?;
        Ok(Self { members, path })
    }

    /// Spells the names in camel case: protobuf's JSON takes `mime_type` for `mimeType`
    /// (<https://protobuf.dev/programming-guides/json/>).
    ///
    /// # Errors
    /// When a member is there in both spellings.
    pub fn in_camel_case(mut self) -> Result<Self, Wrong> {
        let snake = |name: &str| name.get(1..).is_some_and(|rest| rest.contains('_'));
        for at in 0..self.members.len() {
            let Some(name) = self.members.get(at).map(|(name, _)| name).filter(|name| snake(name)) else { continue };
            let camel = camel_case(name);
            if self.members.iter().any(|(other, _)| *other == camel) {
                return Err(Wrong::Twice { path: self.path, name: camel.into() });
            }
            if let Some((name, _)) = self.members.get_mut(at) {
                *name = Cow::Owned(camel);
            }
        }
        Ok(self)
    }

    /// Returns where the object stands.
    pub fn path(&self) -> Path {
        self.path
    }

    /// Returns a member's text without taking it; `null` counts as absent.
    pub fn peek(&self, name: &str) -> Option<&'a str> {
        self.members.iter().find(|(found, _)| found == name).map(|(_, value)| *value).filter(|value| *value != "null")
    }

    /// Takes a member's text; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<&'a str> {
        let at = self.members.iter().position(|(found, _)| found == name)?;
        let (_, value) = self.members.remove(at);
        (value != "null").then_some(value)
    }

    /// Takes a member as it is.
    pub fn json(&mut self, name: &'static str) -> Option<Json> {
        self.take(name).and_then(Json::parse)
    }

    /// Takes a string.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, Wrong> {
        let Some(value) = self.take(name) else { return Ok(None) };
        string(value).map(Some).ok_or_else(|| self.wrong(name, "a string"))
    }

    /// Takes a string that must be there.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn need_text(&mut self, name: &'static str) -> Result<String, Wrong> {
        self.text(name)?.ok_or_else(|| Wrong::Missing(self.path.member(name)))
    }

    /// Takes a boolean.
    ///
    /// # Errors
    /// When it is something else.
    pub fn boolean(&mut self, name: &'static str) -> Result<Option<bool>, Wrong> {
        match self.take(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.wrong(name, "a boolean")),
        }
    }

    /// Takes a whole number, not negative.
    ///
    /// # Errors
    /// When it is something else.
    pub fn integer(&mut self, name: &'static str) -> Result<Option<u64>, Wrong> {
        let Some(value) = self.take(name) else { return Ok(None) };
        super::integer(value.as_bytes()).map(Some).ok_or_else(|| self.wrong(name, "a whole number, 0 or more"))
    }

    /// Takes a number as it is written.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&mut self, name: &'static str) -> Result<Option<Json>, Wrong> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        number.then(|| Json::parse(value)).flatten().map(Some).ok_or_else(|| self.wrong(name, "a number"))
    }

    /// Takes an object.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(&mut self, name: &'static str) -> Result<Option<Object<'a>>, Wrong> {
        let Some(value) = self.take(name) else { return Ok(None) };
        Object::read(value, self.path.member(name)).map(Some)
    }

    /// Takes an array: the texts of its elements.
    ///
    /// # Errors
    /// When it is something else.
    pub fn list(&mut self, name: &'static str) -> Result<Option<Vec<&'a str>>, Wrong> {
        let Some(value) = self.take(name) else { return Ok(None) };
        elements(value).map_err(|_| self.wrong(name, "an array")).map(Some)
    }

    /// Takes an array of objects; none when it is absent.
    ///
    /// # Errors
    /// When it or an element is something else.
    pub fn objects(&mut self, name: &'static str) -> Result<Vec<Object<'a>>, Wrong> {
        let path = self.path.member(name);
        let list = self.list(name)?.unwrap_or_default();
        list.into_iter().enumerate().map(|(index, text)| Object::read(text, path.element(index))).collect()
    }

    /// Returns what nobody took, `null`s left out.
    pub fn leftovers(self) -> impl Iterator<Item = (Cow<'a, str>, &'a str)> {
        self.members.into_iter().filter(|(_, value)| *value != "null")
    }

    /// Returns the error of a member that is not what it must be.
    pub fn wrong(&self, name: &'static str, expected: &'static str) -> Wrong {
        Wrong::Form { path: self.path.member(name), expected }
    }
}

/// Returns the texts of an array's elements.
///
/// # Errors
/// When the text is not one JSON array.
pub fn elements(text: &str) -> Result<Vec<&str>, JsonError> {
    let mut scanner = Scanner::new(text.as_bytes(), 0);
    scanner.enter_array()?;
    let mut found = Vec::new();
    while scanner.element(found.is_empty())? {
        let range = scanner.value()?;
        found.push(text.get(range).unwrap_or_default());
    }
    scanner.end()?;
    Ok(found)
}

/// Returns the text of a JSON string, unescaped; `None` when the value is none.
pub fn string(value: &str) -> Option<String> {
    super::string(value.as_bytes())
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut up = false;
    for letter in name.chars() {
        if letter == '_' && !camel.is_empty() {
            up = true;
        } else {
            camel.push(if up { letter.to_ascii_uppercase() } else { letter });
            up = false;
        }
    }
    camel
}

fn unescaped(name: &str) -> Cow<'_, str> {
    string(&format!("\"{name}\"")).map_or(Cow::Borrowed(name), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Object<'_>, Wrong> {
        Object::read(text, Path::default())
    }

    #[test]
    fn members_are_taken_and_the_rest_is_known() {
        let mut object = read(r#"{"a":"x\n","n":3,"t":0.70,"b":true,"z":null,"l":[1, {"q":2}],"rest":{}}"#).unwrap();
        assert_eq!(object.text("a").unwrap().as_deref(), Some("x\n"));
        assert_eq!(object.integer("n").unwrap(), Some(3));
        assert_eq!(object.number("t").unwrap().unwrap().as_str(), "0.70");
        assert_eq!(object.boolean("b").unwrap(), Some(true));
        assert_eq!(object.list("l").unwrap().unwrap(), ["1", r#"{"q":2}"#]);
        assert_eq!(object.text("z").unwrap(), None);
        assert_eq!(object.leftovers().collect::<Vec<_>>(), [(Cow::Borrowed("rest"), "{}")]);
    }

    #[test]
    fn names_are_spelled_in_camel_case() {
        let mut object =
            read(r#"{"mime_type":"a/b","_responseJsonSchema":1,"topK":2}"#).unwrap().in_camel_case().unwrap();
        assert_eq!(object.text("mimeType").unwrap().as_deref(), Some("a/b"));
        assert_eq!((object.take("_responseJsonSchema"), object.take("topK")), (Some("1"), Some("2")));
        assert!(read(r#"{"top_k":1,"topK":2}"#).unwrap().in_camel_case().is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |wrong: Wrong| wrong.to_string();
        assert_eq!(said(read("[]").unwrap_err()), "`the body` must be an object");
        assert_eq!(said(read(r#"{"a":1,"\u0061":2}"#).unwrap_err()), "`a` appears more than once in `the body`");
        let mut object = read(r#"{"messages":[{"role":7}]}"#).unwrap();
        let mut message = object.objects("messages").unwrap().pop().unwrap();
        assert_eq!(said(message.text("role").unwrap_err()), "`messages[0].role` must be a string");
        assert_eq!(said(message.need_text("content").unwrap_err()), "`messages[0].content` is missing");
    }
}
