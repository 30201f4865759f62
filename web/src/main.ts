/** Starts the dashboard. */
import { mount } from 'svelte';
import './styles/tokens.css';
import './styles/base.css';
import App from './App.svelte';
import { whenSignedOut } from './api/client';
import * as clock from './state/clock.svelte';
import { apply } from './state/preferences.svelte';
import * as router from './state/router.svelte';
import { load, signedIn } from './state/session.svelte';

apply();
router.start();
clock.start();
whenSignedOut(() => signedIn(undefined));
void load();
mount(App, { target: document.getElementById('app')! });
