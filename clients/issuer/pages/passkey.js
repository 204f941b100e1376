// Passkeys: asks the issuer what to sign, lets the browser sign it, and sends the answer.
"use strict";

const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const say = (text) => {
  const note = document.querySelector("[data-note]");
  note.textContent = text;
  note.hidden = false;
};

const post = async (path, body) => {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.message);
  return content;
};

const described = (list) => (list || []).map((one) => ({ ...one, id: toBytes(one.id) }));

const signIn = async (flow) => {
  const options = await post("/passkey/question", { flow });
  const credential = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: toBytes(options.challenge),
      allowCredentials: described(options.allowCredentials),
    },
  });
  const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
  const answer = await post("/passkey/answer", {
    flow,
    credential: {
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      response: {
        clientDataJSON: toText(clientDataJSON),
        authenticatorData: toText(authenticatorData),
        signature: toText(signature),
        userHandle: userHandle ? toText(userHandle) : null,
      },
    },
  });
  window.location.assign(answer.location);
};

const register = async (enrolment) => {
  const options = await post("/enrol/passkey/question", { enrolment });
  const credential = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: toBytes(options.challenge),
      user: { ...options.user, id: toBytes(options.user.id) },
      excludeCredentials: described(options.excludeCredentials),
    },
  });
  const { clientDataJSON, attestationObject } = credential.response;
  await post("/enrol/passkey/answer", {
    enrolment,
    credential: {
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      response: { clientDataJSON: toText(clientDataJSON), attestationObject: toText(attestationObject) },
    },
  });
  say("The passkey is added. Set the password below to finish.");
};

const start = (selector, work) => {
  for (const button of document.querySelectorAll(selector)) {
    if (!window.PublicKeyCredential) {
      button.hidden = true;
      continue;
    }
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await work(button);
      } catch (error) {
        say(error.name === "NotAllowedError" ? "The passkey was not used: try again, or sign in with your password." : error.message);
      } finally {
        button.disabled = false;
      }
    });
  }
};

start("[data-passkey]", (button) => signIn(button.dataset.flow));
start("[data-register]", (button) => register(button.dataset.enrolment));
