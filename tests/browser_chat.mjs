// Two pages in a real browser chat with each other; see browser_chat.rs.
// Arguments: directory of node_modules, path of Chromium, address of the page.

import { strict as assert } from "node:assert";
import { createRequire } from "node:module";

const [clients, executablePath, address] = process.argv.slice(2);
const puppeteer = createRequire(`${clients}/`)("puppeteer-core");
const TIMEOUT = { timeout: 30_000 };

const browser = await puppeteer.launch({
  executablePath,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"],
});

// A window of its own: contexts share no storage.
async function join(name) {
  const page = await (await browser.createBrowserContext()).newPage();
  page.on("pageerror", (error) => assert.fail(`${name}'s page: ${error.message}`));
  page.on("console", (line) => assert.fail(`${name}'s console: ${line.text()}`));
  await page.goto(address);
  await page.$eval("#name", (field, name) => { field.value = name; }, name);
  await page.click("#toggle");
  await page.waitForFunction(
    (name) => document.querySelector("#state").textContent === `Connected as ${name}`, TIMEOUT, name);
  return page;
}

async function says(from, to, text) {
  await from.type("#text", text);
  await from.keyboard.press("Enter");
  await to.waitForFunction(
    (text) => [...document.querySelectorAll("#log .message:not(.mine)")].some((p) => p.textContent.includes(text)),
    TIMEOUT, text);
  await from.waitForFunction(
    (text) => [...document.querySelectorAll("#log .mine")].some((p) => p.textContent.includes(text)),
    TIMEOUT, text);
}

try {
  const ada = await join("ada");
  const bob = await join("böb & co/1?#%");
  await says(ada, bob, "Hello from ada");
  await says(bob, ada, "<b>markup</b> stays text \u{1F600}");
  const who = await ada.$eval("#log .message:not(.mine) .who", (name) => name.textContent);
  assert.equal(who, "böb & co/1?#%", "a name arrives as it was typed");

  await bob.click("#toggle");
  await bob.waitForFunction(() => document.querySelector("#state").textContent === "Not connected", TIMEOUT);
} finally {
  await browser.close();
}
