// The pages of the set-up and of invitations: takes the code out of the address, sends the form, says what came of it.
"use strict";

const form = document.getElementById("form");
const said = document.getElementById("said");
const field = (name) => form.elements.namedItem(name);

const code = new URLSearchParams(location.hash.slice(1)).get("code");
if (code) {
  field("code").value = code;
  // The code stays neither in the address nor in the history.
  history.replaceState(null, "", location.pathname);
  (field("email") || field("password")).focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  said.textContent = "";
  const body = {};
  for (const { name, value } of form.querySelectorAll("input")) {
    body[name] = name === "password" ? value : value.trim();
  }
  try {
    const reply = await fetch(form.dataset.to, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (reply.ok) {
      form.hidden = true;
      form.reset();
      document.getElementById("done").hidden = false;
      return;
    }
    const { error } = await reply.json();
    said.textContent = error.hint ? `${error.message} (${error.hint})` : error.message;
    const wrong = error.field && field(error.field);
    if (wrong) wrong.focus();
  } catch {
    said.textContent = "The gateway did not answer. Is it still running?";
  } finally {
    button.disabled = false;
  }
});
