PYTHON ?= python3

.PHONY: demo test check

demo:  ## set up .venv and upscale a picture: make demo [PHOTO=path]
	@$(PYTHON) scripts/setup_env.py demo "$(PHOTO)"

test:  ## set up .venv and run the tests
	@$(PYTHON) scripts/setup_env.py test $(ARGS)

check:  ## lint and types
	@$(PYTHON) scripts/setup_env.py check
