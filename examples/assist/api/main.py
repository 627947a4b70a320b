"""Answers questions with the model, and keeps the answers."""

import os
import socket

import httpx
import uvicorn
from database import connect
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Question(BaseModel):
    text: str


@app.get("/health")
def health() -> dict[str, str]:
    with connect() as connection:
        connection.execute("SELECT 1")
    return {"status": "healthy"}


@app.post("/questions")
def ask(question: Question) -> dict[str, str]:
    response = httpx.post(
        f"{os.environ['MODEL_URL']}/v1/chat/completions",
        json={"model": "assist", "messages": [{"role": "user", "content": question.text}]},
        timeout=60,
    )
    answer = response.raise_for_status().json()["choices"][0]["message"]["content"]
    with connect() as connection:
        connection.execute("INSERT INTO answers VALUES (%s, %s)", (question.text, answer))
    return {"answer": answer}


@app.get("/answers")
def answers() -> list[tuple[str, str]]:
    with connect() as connection:
        return connection.execute("SELECT question, answer FROM answers").fetchall()


if __name__ == "__main__":
    port = int(os.environ["LISTEN_PORT"])
    addresses = os.environ["LISTEN_ADDRESSES"].split(",")
    sockets = [socket.create_server((address, port)) for address in addresses]
    uvicorn.Server(uvicorn.Config(app)).run(sockets=sockets)
