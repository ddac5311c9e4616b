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
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
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
      form.reset();
      for (const id of ["form", "intro", "said"]) document.getElementById(id).hidden = true;
      const done = document.getElementById("done");
      done.hidden = false;
      done.focus();
      return;
    }
    const { error } = await reply.json();
    said.textContent = error.hint ? `${error.message} (${error.hint})` : error.message;
    const wrong = error.field && field(error.field);
    if (wrong) {
      wrong.setAttribute("aria-invalid", "true");
      wrong.focus();
    }
  } catch {
    said.textContent = "The gateway did not answer. Is it still running?";
  } finally {
    button.disabled = false;
  }
});
